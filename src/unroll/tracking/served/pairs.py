"""A finished encoder-decoder, as MLflow serves it."""

from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc.model import PythonModel, PythonModelContext

import unroll
from unroll.errors import UserError
from unroll.exported.requests import PairRequest, answer_pairs, problem


class Request(PairRequest):
    """As MLflow reads it: what is wrong is told in our words."""

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> "Request":
        if found := problem(PairRequest, obj):
            raise MlflowException(found, error_code=BAD_REQUEST)
        return super().model_validate(obj, **options)


class Model(PythonModel):
    """Translates or summarises."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the bundle beside this script."""
        self.model = unroll.load(context.artifacts["bundle"])

    def predict(self, model_input: list[Request]):  # type: ignore[no-untyped-def, override]
        """An answer a request, in order; what is not right is told as a bad request.

        Without a type for the answers: MLflow finds their signature from its example.
        """
        try:
            return answer_pairs(self.model, model_input)
        except UserError as error:
            raise MlflowException(str(error), error_code=BAD_REQUEST) from None


set_model(Model())
