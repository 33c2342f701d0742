# docker build --target cpu -t covid-mtnet:cpu .     make reproduce's smoke graph: docker run --rm -v "$PWD/runs:/home/mtnet/app/runs" covid-mtnet:cpu
# docker build --target gpu -t covid-mtnet:gpu .     docker run --rm --gpus all -v "$PWD/data:/data" -v "$PWD/runs:/home/mtnet/app/runs" covid-mtnet:gpu reproduce --profile paper --data /data
# Research use, not a diagnosis.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS base
RUN apt-get update && apt-get install -y --no-install-recommends git make && rm -rf /var/lib/apt/lists/* && useradd --create-home --uid 1000 mtnet
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 VIRTUAL_ENV=/home/mtnet/venv PATH=/home/mtnet/venv/bin:$PATH

# Every package of the lock, by its hash, in a stage of its own: the cache of uv stays behind.
FROM base AS packages
RUN pip install --no-cache-dir uv==0.13.9
USER mtnet
COPY --chown=mtnet requirements.lock /tmp/requirements.lock
RUN python -m venv $VIRTUAL_ENV && uv pip install --no-cache --require-hashes -r /tmp/requirements.lock

# The CUDA libraries that this TensorFlow asks for; the driver comes from the host.
FROM packages AS packages-gpu
RUN uv pip install --no-cache "tensorflow[and-cuda]==$(python -c 'from importlib.metadata import version; print(version("tensorflow"))')"

FROM base AS app
USER mtnet
WORKDIR /home/mtnet/app
COPY --chown=mtnet . .
RUN mkdir -p runs

FROM app AS gpu
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=packages-gpu --chown=mtnet /home/mtnet/venv /home/mtnet/venv
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e .
ENTRYPOINT ["covid-mtnet"]
CMD ["--help"]

FROM app AS cpu
COPY --from=packages --chown=mtnet /home/mtnet/venv /home/mtnet/venv
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e .
ENTRYPOINT ["covid-mtnet"]
CMD ["reproduce"]
