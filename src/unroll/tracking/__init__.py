"""MLflow: one run for each training, found again by its fingerprint.

The store is a view that can be made again at any time: what it shows comes from the files of the pipeline, with the
times recorded there, so logging a run again changes nothing.
"""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported
