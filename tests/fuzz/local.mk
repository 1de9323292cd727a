# Fuzz targets; make check replays their corpora.
