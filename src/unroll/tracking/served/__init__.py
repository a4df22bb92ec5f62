"""Scripts that MLflow keeps beside a model and runs to serve it (models from code): no pickle."""
