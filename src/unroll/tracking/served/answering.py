"""A bundle's model as MLflow serves it; the scripts beside this say what it is asked."""

from collections.abc import Callable, Sequence
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc.model import PythonModel, PythonModelContext

import unroll
from unroll.errors import UserError
from unroll.exported.requests import Answer, problem
from unroll.settings import Settings


def serve(asked: type[Settings], answers: Callable[[Any, Sequence[Any]], list[Answer]]) -> None:
    """Let MLflow answer requests of type `asked` by what `answers` makes of the model and of them."""

    class Request(asked):  # type: ignore[valid-type, misc]
        """As MLflow reads it: what is wrong is told in our words."""

        @classmethod
        def model_validate(cls, obj: Any, **options: Any) -> "Request":
            if found := problem(asked, obj):
                raise MlflowException(found, error_code=BAD_REQUEST)
            return super().model_validate(obj, **options)  # type: ignore[no-any-return]

    class Model(PythonModel):
        """Answers each request as if it had been asked alone."""

        def load_context(self, context: PythonModelContext) -> None:
            """Read the bundle beside the script."""
            self.model = unroll.load(context.artifacts["bundle"])

        def predict(self, model_input: list[Request]):  # type: ignore[no-untyped-def, override]
            """An answer a request, in order; what is not right is told as a bad request.

            Without a type for the answers: MLflow finds their signature from its example.
            """
            try:
                return answers(self.model, model_input)
            except UserError as error:
                raise MlflowException(str(error), error_code=BAD_REQUEST) from None

    set_model(Model())
