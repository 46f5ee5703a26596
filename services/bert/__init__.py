"""BERT models from their published weights, without torch: one fp32 graph, one int8 graph, one numpy reference.

weights.py    what the safetensors file and `config.json` say
graph.py      collects the nodes of an ONNX graph
float32.py    standard operators only
int8.py       onnxruntime's fused integer operators, with fixed activation scales
calibrate.py  finds those scales, from the weights alone
forward.py    the same model in numpy, which the graphs are checked against
"""
