"""The default recipe's graphs without their weights; see ``training.to_onnx``."""
