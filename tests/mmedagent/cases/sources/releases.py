"""Small releases in the layouts that the public sets are released in; pictures are drawn here."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def picture(seed: int, kind: str = "JPEG", side: int = 40) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def write_files(folder: Path, files: Mapping[str, bytes | str | list[Any]]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            content = json.dumps(content, ensure_ascii=False, indent=1)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def write_parquet(path: Path, rows: list[dict[str, Any]], group: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {
        name: pa.array([row[name] for row in rows], IMAGE if name.startswith("image") else None)
        for name in rows[0]
    }
    pq.write_table(pa.table(columns), path, row_group_size=group)
    return path


def held(seed: int) -> dict[str, Any]:
    return {"bytes": picture(seed), "path": f"{seed}.jpg"}


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"{folder.name}/{file.relative_to(folder).as_posix()}")
    return path


def tarred(folder: Path, path: Path) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix in (".gz", ".tgz") else "w") as archive:
        archive.add(folder, folder.name)
    return path


def rad_row(number: int, **changes: Any) -> dict[str, Any]:
    row = {
        "qid": number,
        "phrase_type": "freeform",
        "qid_linked_id": f"03f451ca-de62-4617-9679-e836026a{number:04d}",
        "image_case_url": f"https://medpix.example/case?id={number // 2}",
        "image_name": f"synpic{number // 2}.jpg",
        "image_organ": "HEAD",
        "evaluation": "not evaluated",
        "question": f"Are regions {number} of the brain infarcted?",
        "question_rephrase": "NULL",
        "question_relation": "NULL",
        "question_frame": "NULL",
        "question_type": "PRES",
        "answer": "Yes",
        "answer_type": "CLOSED",
    }
    return row | changes


def vqa_rad(folder: Path) -> Path:
    """As the archive from OSF: one table, one folder of pictures."""
    rows = [
        rad_row(0),
        rad_row(1, question="Is the lesion on the left or the right? ", answer="Left "),
        rad_row(2, image_organ="CHEST", question="How many nodules?", answer=4, answer_type="OPEN"),
        rad_row(3, image_organ="ABD", phrase_type="test_freeform", answer_type="CLOSED "),
        rad_row(4, image_organ="ABD", phrase_type="test_para", question_type="PRES, ABN"),
        rad_row(5, question_type="PLANE", question="What plane is this?", answer="axial"),
        rad_row(6, question_type="PLANE", question="Which plane?", answer="coronal"),
        rad_row(7, answer=None),
    ]
    pictures = {f"VQA_RAD Image Folder/synpic{n}.jpg": picture(n) for n in range(4)}
    return write_files(folder, {"VQA_RAD Dataset Public.json": rows, **pictures})


def hub(folder: Path, splits: Iterable[str] = ("train", "test")) -> Path:
    """As the hub's conversions of VQA-RAD and PathVQA: image, question, answer."""
    for offset, split in enumerate(splits):
        rows = [
            {"image": held(10 * offset + 1), "question": "is there a mass?", "answer": "yes"},
            {"image": held(10 * offset + 1), "question": "what plane is it?", "answer": "axial"},
            {"image": held(10 * offset + 2), "question": "t1 or t2 image?", "answer": "t2"},
            {"image": held(10 * offset + 3), "question": "where is the mass?", "answer": ""},
            {"image": held(10 * offset + 4), "question": "how many nodules?", "answer": "two"},
        ]
        write_parquet(folder / "data" / f"{split}-00000-of-00001-e5bc3d208bb4deeb.parquet", rows)
    return folder


def path_vqa(folder: Path) -> Path:
    return hub(folder, ("train", "validation", "test"))


def slake_row(number: int, **changes: Any) -> dict[str, Any]:
    row = {
        "img_id": number // 2,
        "img_name": f"xmlab{number // 2}/source.jpg",
        "question": "What modality is used to take this image?",
        "answer": "MRI",
        "q_lang": "en",
        "location": "Abdomen",
        "modality": "MRI",
        "answer_type": "OPEN",
        "base_type": "vqa",
        "content_type": "Modality",
        "triple": ["vhead", "_", "_"],
        "qid": number,
    }
    return row | changes


def slake(folder: Path, validation: str = "validate.json") -> Path:
    """As the archive from the authors: three tables, a folder for each picture."""
    closed = {"answer_type": "CLOSED", "content_type": "Size", "modality": "X-Ray"}
    train = [
        slake_row(0),
        slake_row(1, **closed, question="Which is bigger, the lung or the liver?", answer="Lung"),
        slake_row(2, **closed, question="Does the picture contain lung?", answer="Yes"),
        slake_row(3, question="这张图片是用什么模态拍摄的?", q_lang="zh", answer="核磁共振"),
        slake_row(4, **closed, question="肝脏大吗?", q_lang="zh", answer="不是"),
        slake_row(5, answer=""),
    ]
    tables = {"train.json": train, validation: [slake_row(6)], "test.json": [slake_row(8)]}
    pictures = {f"imgs/xmlab{n}/source.jpg": picture(n) for n in range(5)}
    return write_files(
        folder, {**tables, **pictures, "mask.txt": "1:liver", "KG/en_organ.csv": "a"}
    )


def slake_hub(folder: Path) -> Path:
    """As the hub has the original: the pictures in `imgs.zip` beside the tables."""
    slake(folder, "validation.json")
    zipped(folder / "imgs", folder / "imgs.zip")
    for path in sorted((folder / "imgs").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (folder / "imgs").rmdir()
    return folder


def omni_row(number: int, **changes: Any) -> dict[str, Any]:
    row = {
        "dataset": "ACRIMA",
        "question_id": f"ACRIMA_{number:04d}",
        "question_type": "Disease Diagnosis",
        "question": "What is the condition shown in this image?",
        "gt_answer": "Glaucoma",
        "image_path": f"Images/ACRIMA/Im{number // 2:03d}_ACRIMA.png",
        "option_A": "Normal",
        "option_B": "Glaucoma",
        "option_C": "Cataract",
        "option_D": "Myopia",
        "modality_type": "Fundus Photography",
    }
    return row | changes


def omni_med_vqa(folder: Path) -> Path:
    """As `OmniMedVQA.zip`: tables of open and of restricted access, pictures by data set."""
    chest = omni_row(1, dataset="Chest CT Scan", question_id="Chest CT Scan_0001")
    chest["modality"] = chest.pop("modality_type").replace("Fundus Photography", "CT")
    two = omni_row(2, question_type="Modality Recognition", gt_answer="no", option_A="Yes")
    two |= {"option_B": "No", "modality_type": "MR (Mag-netic Resonance Imaging)"}
    del two["option_C"], two["option_D"]
    tables = {
        "QA_information/Open-access/ACRIMA.json": [
            omni_row(0),
            two,
            omni_row(3, gt_answer="Something else"),
            omni_row(4, modality_type="Digital Photography"),
        ],
        "QA_information/Open-access/Chest CT Scan.json": [chest],
        "QA_information/Restricted-access/MIMIC.json": [omni_row(9)],
    }
    pictures = {f"Images/ACRIMA/Im{n:03d}_ACRIMA.png": picture(n, "PNG") for n in range(4)}
    return write_files(folder, {**tables, **pictures})


def mmmu_row(key: str, **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": key,
        "question": "What is seen here? <image 1>",
        "options": "['Anemia', \"Crohn's disease\", 'Gout', 'None of the above']",
        "explanation": "",
        "image_1": held(len(key)),
    }
    row |= {f"image_{number}": None for number in range(2, 8)}
    row |= {
        "img_type": "['Pathological Images']",
        "answer": "B",
        "topic_difficulty": "Easy",
        "question_type": "multiple-choice",
        "subfield": "Clinical Pathology",
    }
    return row | changes


def mmmu(folder: Path) -> Path:
    """As released: a folder for each subject, other subjects' beside them."""
    two = {"image_2": held(77), "options": "['<image 1>', '<image 2>']", "answer": "B"}
    rows = {
        "Clinical_Medicine/dev": [mmmu_row("dev_Clinical_Medicine_1")],
        "Clinical_Medicine/validation": [
            mmmu_row("validation_Clinical_Medicine_1"),
            mmmu_row("validation_Clinical_Medicine_2", question="Which is normal?", **two),
            mmmu_row(
                "validation_Clinical_Medicine_3",
                question_type="open",
                options="[]",
                answer="['12.5', '12.50']",
                img_type="['Tables', 'Body Scans: MRI, CT scans, and X-rays']",
            ),
            mmmu_row("validation_Clinical_Medicine_4", question="Compare <image 2>"),
            mmmu_row("validation_Clinical_Medicine_5", answer="F"),
        ],
        "Clinical_Medicine/test": [
            mmmu_row(f"test_Clinical_Medicine_{n}", answer="?") for n in "12"
        ],
        "Pharmacy/validation": [mmmu_row("validation_Pharmacy_1", img_type="['Tables']")],
        "Accounting/validation": [mmmu_row("validation_Accounting_1")],
    }
    for name, members in rows.items():
        write_parquet(folder / f"{name}-00000-of-00001.parquet", members)
    return folder


LAYOUTS: Mapping[str, tuple[str, Callable[[Path], Path]]] = {
    "vqa-rad original": ("vqa-rad", vqa_rad),
    "vqa-rad parquet": ("vqa-rad", hub),
    "slake original": ("slake", slake),
    "slake on the hub": ("slake", slake_hub),
    "slake parquet": ("slake", path_vqa),
    "path-vqa parquet": ("path-vqa", path_vqa),
    "omni-med-vqa original": ("omni-med-vqa", omni_med_vqa),
    "mmmu parquet": ("mmmu", mmmu),
}
"""Layout -> the adapter's name, and what writes a release of it."""
