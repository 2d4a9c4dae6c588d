"""Image files of hospitals and data sets as pictures: PNG, JPEG, TIFF, DICOM, NIfTI."""
