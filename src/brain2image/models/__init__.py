"""The network: CBraMod backbone, pooling heads, attention alignment."""
