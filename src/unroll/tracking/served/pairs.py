"""A finished encoder-decoder, as MLflow serves it: translates or summarises."""

from unroll.exported.requests import PairRequest, answer_pairs
from unroll.tracking.served.answering import serve

serve(PairRequest, answer_pairs)
