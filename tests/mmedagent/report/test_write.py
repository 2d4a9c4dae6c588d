from mmedagent.report.write import write_report


def test_x(finished_run):
    import shutil

    write_report(finished_run)
    shutil.rmtree("/tmp/runx", ignore_errors=True)
    shutil.copytree(finished_run, "/tmp/runx")
