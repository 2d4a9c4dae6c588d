"""May the challenger replace the champion?"""
