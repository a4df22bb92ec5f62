"""A finished language model, as MLflow serves it: continues prompts and scores texts."""

from unroll.exported.requests import TextRequest, answer_texts
from unroll.tracking.served.answering import serve

serve(TextRequest, answer_texts)
