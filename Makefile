# demo: audio, samples, a trained network, its score   check, test: what CI runs   quick: the tests for every save
# tour: tour.py as one page with its pictures and sounds   bench: speed, as ratios   setup: the environment alone
# model: the model that ships, from your folders: make model SPEECH=DIR NOISE=DIR PEOPLE=DIR; goes on after a break
# make.py does the work, also without make: python make.py demo. The variables become its flags.
PYTHON ?= python3
flag = $(if $($(1)),--$(2) "$($(1))")

.PHONY: setup demo test quick check tour model bench
demo:
	$(PYTHON) make.py demo $(call flag,VENV,venv) $(call flag,EXCERPTS,excerpts) \
		$(call flag,EXCERPTS_TEST,excerpts-test) $(call flag,EPOCHS,epochs) $(if $(SNR_TRAIN),--snr-range-db $(SNR_TRAIN))

setup test quick check tour bench:
	$(PYTHON) make.py $@ $(call flag,VENV,venv)

model:
	$(PYTHON) make.py model $(call flag,VENV,venv) $(call flag,SPEECH,speech) $(call flag,NOISE,noise) \
		$(call flag,PEOPLE,people) $(call flag,OUT,out)
