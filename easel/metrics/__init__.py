"""Numbers about pictures: arrays in, floats out. No model is ever loaded here, and numpy is all that is needed."""
