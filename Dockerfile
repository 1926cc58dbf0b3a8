# The demo on a fresh machine, then its page: results/report.html
#   docker build -t binsl .
#   docker run --name binsl binsl
#   docker cp binsl:/binsl/results .
FROM python:3.12-slim
WORKDIR /binsl
COPY make.py requirements.txt requirements-localise.txt ./
RUN python make.py setup
COPY . .
CMD ["python", "make.py", "demo"]
