# A server of the pretrained models: docker build --tag i2i . && docker run --rm --publish 127.0.0.1:8000:8000 i2i
# With a GPU: docker run --gpus all ...; without, a smaller image: see TORCH_INDEX
# Your own models: docker run --volume ./runs:/models:ro ... i2i --models /models
# Exported models alone, without PyTorch, a tenth of the size: docker build --target slim --tag i2i-slim ., then
#   docker run --volume ./exported:/models:ro ... i2i-slim --models /models
FROM python:3.12-slim AS slim
WORKDIR /source
COPY . .
RUN pip install --no-cache-dir --no-deps . && pip install --no-cache-dir numpy pillow opencv-python-headless tifffile \
    imagecodecs tyro tqdm openvino fastapi uvicorn python-multipart prometheus-client && rm -r /source/*
ENV PYTHONUNBUFFERED=1
RUN useradd --create-home i2i
USER i2i
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://localhost:8000/healthz')"]
ENTRYPOINT ["i2i", "serve", "--host", "0.0.0.0", "--allow-host", "localhost"]

FROM python:3.12-slim AS build
# The package index of PyTorch's builds, such as those without CUDA, which are smaller by 4 GB; PyTorch's
# instructions name it. PyPI's builds, with CUDA on x86, unless given.
ARG TORCH_INDEX
WORKDIR /source
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch torchvision
COPY . .
RUN pip install --no-cache-dir ".[web,openvino]"

FROM python:3.12-slim
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --create-home i2i
USER i2i
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://localhost:8000/healthz')"]
# Reached through the published port, as localhost only; for other machines set I2I_TOKEN and add --allow-host NAME.
ENTRYPOINT ["i2i", "serve", "--host", "0.0.0.0", "--allow-host", "localhost"]
