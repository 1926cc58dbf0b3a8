# demo: audio, samples, a trained network, its score   check, test: what CI runs   quick: the tests for every save
# tour: tour.py as one page with its pictures and sounds   bench: speed, as ratios
# model: the model that ships, from your folders: make model SPEECH=DIR NOISE=DIR PEOPLE=DIR; goes on after a break
PYTHON ?= python3
VENV ?= .venv
PY = $(VENV)/bin/python
# Many excerpts, each at one SNR: fresh words and noise teach more than another level of the same. The SNRs are drawn from
# a range that is wider than the test's: spreads are measured on validation samples, and said of what is like them.
EXCERPTS ?= 24
EXCERPTS_TEST ?= 4
EPOCHS ?= 2
SNR_TRAIN ?= -10 6
OUT ?= checkpoints_shipped

.PHONY: demo test quick check tour bench model
demo: $(VENV)/runtime.installed
	$(PY) tools/make_demo_audio.py
	$(PY) SpatialiseTRAIN.py --excerpts $(EXCERPTS) --snr-range-db $(SNR_TRAIN)
	$(PY) SpatialiseTEST.py --excerpts $(EXCERPTS_TEST)
	$(PY) TrainingCNN.py --epochs $(EPOCHS) --batch-size 32 --resume
	$(PY) Testing.py

test: $(VENV)/dev.installed
	$(PY) -m pytest

quick: $(VENV)/dev.installed
	$(PY) -m pytest -m "not slow"

check: $(VENV)/dev.installed
	$(PY) -m ruff check .
	$(PY) -m pytest -n 0 tests/test_arrows.py

tour: $(VENV)/tour.installed
	mkdir -p tour
	PATH="$(abspath $(VENV))/bin:$$PATH" PYTHONWARNINGS=ignore $(PY) -m jupytext --quiet --to ipynb --set-kernel python3 \
		--run-path . --execute --output tour/tour.ipynb tour.py
	$(PY) -m nbconvert --log-level ERROR --to html --embed-images tour/tour.ipynb
	@echo "tour/tour.html"

model: $(VENV)/runtime.installed
	$(PY) tools/make_model.py --speech "$(SPEECH)" --noise "$(NOISE)" --people "$(PEOPLE)" --out "$(OUT)"

bench: $(VENV)/dev.installed
	$(PY) benchmarks/speed.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime.installed: requirements.txt requirements-localise.txt | $(VENV)/bin/python
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/tour.installed: requirements-tour.txt $(VENV)/runtime.installed
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-tour.txt
	touch $@

$(VENV)/dev.installed: requirements-dev.txt $(VENV)/runtime.installed
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
