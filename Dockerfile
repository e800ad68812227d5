# The serving half alone: no torch, no compiler, no shell needed, any numeric user, read-only root.

FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/serving.txt /build/requirements/serving.txt
WORKDIR /build
RUN pip install --require-hashes --only-binary :all: --target /opt/onehand -r requirements/serving.txt
# What onnxruntime brings to make models is of no use to run them.
RUN cd /opt/onehand/onnxruntime && rm -r transformers tools quantization
COPY serving /opt/onehand/serving
# Compiled once here, since nothing can be written later; trusted without looking at the clock.
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/onehand

FROM python:3.11-slim
COPY --from=build /opt/onehand /opt/onehand
COPY exported /srv/onehand/exported
ENV PYTHONPATH=/opt/onehand \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    ONEHAND_MODELS=/srv/onehand/exported \
    ONEHAND_HOST=0.0.0.0 \
    ONEHAND_METRICS_HOST=0.0.0.0
WORKDIR /srv/onehand
USER 10001:10001
EXPOSE 50051 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-m", "serving.probe"]
ENTRYPOINT ["python", "-m", "serving"]
