"""A small story generator: FastAPI, any language model behind the OpenAI protocol, and livingworld underneath."""
