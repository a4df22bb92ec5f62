"""A finished captioner, as MLflow serves it: says what images show."""

from unroll.exported.requests import CaptionRequest, answer_captions
from unroll.tracking.served.answering import serve

serve(CaptionRequest, answer_captions)
