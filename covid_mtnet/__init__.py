__version__ = "0.1.0"


def __getattr__(name):
    "`covid_mtnet.predict`, loaded when it is asked for."
    if name != "predict": raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from covid_mtnet.prediction import predict
    return predict
