"""Learnt placement policies for use outside Python: a C header, ONNX, TorchScript."""
