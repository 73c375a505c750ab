# Every image of this repository, one target each: operator, profiler, dynamo-mocker,
# dynamo-mocker-1.0, prometheus, and for `make real-engine` alone dynamo-vllm-cpu.
#
#   docker build --target operator -t registry.test/dgdr/operator:dev .
#
# `python3 -m hack.images build` does that for all of them; where there is no Docker it builds this
# same file with buildah on a base of its own making. Layers go from what changes least to what
# changes most: an edit of our sources rewrites only the last, small one.
#
# BASE_IMAGE must bring Python 3.11 with venv, and CA certificates.
ARG BASE_IMAGE=python:3.11-slim-bookworm

# --- Build time only: the installer, the wheel's build backend, the tokenizer's trainer. -----------
FROM ${BASE_IMAGE} AS tools
# Trust what the base trusts: a base may bring the certificates of a private package registry.
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
COPY requirements/tools.txt /src/tools.txt
RUN python3 -m venv /opt/tools \
    && /opt/tools/bin/pip install --quiet --require-hashes -r /src/tools.txt
COPY hack/images/content/install.sh /opt/tools/bin/install-locked

# Our distribution, unpacked and compiled, so that adding it to an image is one plain copy. Rehearsals
# of the planner run where there is no cluster, never in one.
FROM tools AS package
WORKDIR /src
COPY pyproject.toml LICENSE ./
COPY operator operator
COPY planner planner
COPY profiler_job profiler_job
# The readme is documentation of the project page; an edit of it must not make a new image.
RUN touch README.md \
    && /opt/tools/bin/hatchling build --target wheel --directory /dist \
    && /opt/tools/bin/uv pip install --quiet --no-deps --no-index --target /site /dist/*.whl \
    && rm -r /site/dgdr_rehearsal \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /site

FROM tools AS model
COPY hack/images/content/tiny_model.py /src/tiny_model.py
RUN /opt/tools/bin/python /src/tiny_model.py /model

# The largest packages, which several images share; without their tests.
FROM tools AS numeric
COPY requirements/numeric.txt /src/requirements.txt
RUN --mount=type=cache,target=/var/cache/uv \
    SSL_CERT_FILE=${PIP_CERT} UV_CACHE_DIR=/var/cache/uv UV_LINK_MODE=copy \
    /opt/tools/bin/uv pip install --quiet --target /opt/numeric --require-hashes --no-deps \
        --requirements /src/requirements.txt \
    && find /opt/numeric -type d -name tests -prune -exec rm -rf {} + \
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/numeric

# One stage for each virtual environment, so that a changed lock file rebuilds only its own.
FROM numeric AS operator-dependencies
COPY requirements/operator.txt /src/operator.txt
RUN --mount=type=cache,target=/var/cache/uv \
    /opt/tools/bin/install-locked /opt/venv /src/operator.txt

FROM numeric AS profiler-dependencies
COPY requirements/profiler.txt /src/profiler.txt
RUN --mount=type=cache,target=/var/cache/uv \
    /opt/tools/bin/install-locked /opt/venv /src/profiler.txt

# Models of other families than the tiny one stay uncompiled here and below.
FROM numeric AS aiperf
COPY requirements/aiperf.txt /src/aiperf.txt
RUN --mount=type=cache,target=/var/cache/uv \
    /opt/tools/bin/install-locked /opt/aiperf /src/aiperf.txt \
    '/transformers/models/(?!auto/|llama/|deepseek_v3/|encoder_decoder/|__init__)'

FROM numeric AS dynamo
COPY requirements/dynamo-mocker.txt /src/dynamo-mocker.txt
RUN --mount=type=cache,target=/var/cache/uv \
    /opt/tools/bin/install-locked /opt/venv /src/dynamo-mocker.txt \
    '/transformers/models/(?!auto/|llama/|deepseek_v3/|encoder_decoder/|__init__)'

FROM numeric AS dynamo-1.0
COPY requirements/dynamo-mocker-1.0.txt /src/dynamo-mocker.txt
RUN --mount=type=cache,target=/var/cache/uv \
    /opt/tools/bin/install-locked /opt/venv /src/dynamo-mocker.txt \
    '/(_pytest|fastapi|setuptools)/|/transformers/models/(?!auto/|llama/|deepseek_v3/|encoder_decoder/|__init__)'

# vLLM for CPUs. Everything in one step, because what a step deletes stays in the layers before it:
# the stubs alone save 2.7 GB. PyTorch's headers serve compilers, of which there is none.
FROM tools AS vllm-cpu-dependencies
COPY requirements/cuda-stubs.txt requirements/dynamo-vllm-cpu.txt hack/images/content/cuda_stubs.py /src/
RUN --mount=type=cache,target=/var/cache/uv \
    /opt/tools/bin/install-locked /opt/stubs /src/cuda-stubs.txt '/ziglang/' \
    && /opt/tools/bin/install-locked /opt/venv /src/dynamo-vllm-cpu.txt \
        '/(fastapi|setuptools|anthropic|openai|kubernetes|numba|pycountry|torch/testing)/|/transformers/models/(?!auto/|llama/|deepseek_v3/|encoder_decoder/|__init__)' \
    && /opt/stubs/bin/python /src/cuda_stubs.py /opt/venv/lib/python3.11/site-packages \
        /opt/stubs/bin/python -m ziglang cc \
    && rm -rf /opt/stubs /opt/venv/lib/python3.11/site-packages/torch/include \
    && find /opt/venv -type d -name tests -prune -exec rm -rf {} +

FROM vllm-cpu-dependencies AS tiny-llama
COPY hack/images/content/tiny_model.py hack/images/content/tiny_llama.py /src/
RUN /opt/venv/bin/python /src/tiny_llama.py /models/tiny-llama

# --- What all programs share. ----------------------------------------------------------------------
FROM ${BASE_IMAGE} AS runtime
RUN echo 'dgdr:x:1000:1000:dgdr:/tmp:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'dgdr:x:1000:' >> /etc/group
# HOME is the one folder that is writable with a read-only root, where a pod mounts it. Byte code is
# compiled at build time because nothing can be written later.
ENV HOME=/tmp \
    PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin:/opt/aiperf/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1
COPY --from=numeric /opt/numeric /opt/numeric
WORKDIR /

# --- Operator and planner. -------------------------------------------------------------------------
FROM runtime AS operator
COPY --from=operator-dependencies /opt/venv /opt/venv
COPY --from=package /site /opt/venv/lib/python3.11/site-packages
USER 1000:1000
ENTRYPOINT ["python3", "-m"]
CMD ["dgdr_operator"]

# --- The profiling Job. AIPerf has an environment of its own, and reads tokenizers from /model. -----
FROM runtime AS profiler
COPY --from=aiperf /opt/aiperf /opt/aiperf
COPY --from=profiler-dependencies /opt/venv /opt/venv
COPY --from=model /model /model
COPY --from=package /site /opt/venv/lib/python3.11/site-packages
USER 1000:1000
ENTRYPOINT ["python3", "-m"]
CMD ["dgdr_profiler", "--request", "/etc/dgdr/request.json"]

# --- Demo and tests: Dynamo's frontend and its mocked engine, with the tiny model. -----------------
FROM runtime AS dynamo-mocker
COPY --from=dynamo /opt/venv /opt/venv
COPY --from=model /model /model
USER 1000:1000
CMD ["python3", "-m", "dynamo.frontend"]

# The oldest release that is supported. Its mocker starts without NATS only by our launcher.
FROM runtime AS dynamo-mocker-1.0
COPY --from=dynamo-1.0 /opt/venv /opt/venv
COPY --from=model /model /model
COPY hack/images/content/mocker.py /opt/dgdr/mocker.py
USER 1000:1000
CMD ["python3", "-m", "dynamo.frontend"]

# --- `make real-engine`: Dynamo's frontend and vLLM for CPUs, with a small model that has weights. --
FROM runtime AS dynamo-vllm-cpu
# There is no compiler in the image, and vLLM would want one at its first request.
ENV TORCHDYNAMO_DISABLE=1
RUN apt-get update --quiet=2 \
    && apt-get install --quiet=2 --yes --no-install-recommends libnuma1 \
    && rm -rf /var/lib/apt/lists /var/cache/apt
COPY --from=vllm-cpu-dependencies /opt/venv /opt/venv
COPY --from=tiny-llama /models /models
COPY hack/images/content/parse_flags.py /opt/dgdr/parse_flags.py
# NIXL's progress thread polls without a pause and without a setting: two idle engines would take both
# cores of a small machine. A pause of 1000 microseconds is little beside a transfer of 30 ms.
RUN api=$(echo /opt/venv/lib/python3.*/site-packages/nixl_cu13/_api.py) \
    && grep -q 'pthrDelay = 0$' "$api" \
    && sed -i 's/pthrDelay = 0$/pthrDelay = 1000/' "$api" \
    && python3 -m compileall -q -f --invalidation-mode unchecked-hash "$api"
USER 1000:1000
CMD ["python3", "-m", "dynamo.frontend"]

# --- Demo and tests: Prometheus with Kubernetes discovery. -----------------------------------------
# The binary comes from hack/cluster/tools/prometheus (`python3 -m hack.images build prometheus`
# compiles it): the distribution's package is built without that discovery.
FROM scratch AS prometheus
COPY bin/prometheus /bin/prometheus
USER 65534:65534
EXPOSE 9090
ENTRYPOINT ["/bin/prometheus"]
