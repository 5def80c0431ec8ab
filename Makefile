# Everyday commands; `make help` lists them. Environments are made when they are needed: .venv, from requirements.txt
# and requirements-dev.txt. PYTHON=python3.12 chooses the interpreter that makes it.

PYTHON ?= python3
BIN := .venv/bin
DEMO_ARCH := resnet10
DEMO_SEGMENTS := 4
DEMO_SIZE := 64
DEMO_MOTION := stpme,dsme,shift
DEMO_SUFFIX := demo
DEMO_RUN := MSN_motion_RGB_$(DEMO_ARCH)_avg_segment$(DEMO_SEGMENTS)_$(DEMO_SUFFIX)
DEMO_MODELS := checkpoint/$(DEMO_RUN)
DEMO_RESULTS := results/$(DEMO_SUFFIX)
DEMO_TEST := motion --archs $(DEMO_ARCH) --weights $(DEMO_MODELS)/best.pth.tar --test_segments $(DEMO_SEGMENTS) \
	--input_size $(DEMO_SIZE) --batch_size 32 -j 2 --overwrite

define install
@echo "Installing $< into .venv (this takes minutes the first time)"
@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $< || { echo "Could not install $<: pip says why above." \
	"Check the connection to the package index and run the same command again." >&2; exit 1; }
touch $@
endef
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest

# WING=models, or WING="models data", runs the tests of these folders of tests/ only.
WINGS := $(sort $(patsubst tests/%/,%,$(dir $(wildcard tests/*/test_*.py))))
ifneq ($(filter-out $(WINGS),$(WING)),)
$(error Expected WING to be one of: $(WINGS). Got: $(WING))
endif

.PHONY: help demo demo-control study test test-slow test-fuzz test-gpu bench-gpu lint clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

.venv/installed: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed, this is %s" % sys.version)'
	$(PYTHON) -m venv .venv
	$(install)

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(install)

demo: .venv/installed ## render the motion set, train MSN on it, test it, report (about ten minutes on two CPU cores)
	$(BIN)/python scripts/preparation/render_motion.py --out data/motion
	$(BIN)/python main.py motion RGB --arch $(DEMO_ARCH) --num_segments $(DEMO_SEGMENTS) --input_size $(DEMO_SIZE) \
		--motion $(DEMO_MOTION) --suffix $(DEMO_SUFFIX) --pretrain none --resume auto --epochs 7 -b 8 -j 2 --lr 0.007 \
		--lr_scheduler cosine --warmup_epoch 0.5 --warmup_multiplier 10 --dropout 0 --wd 5e-4 --gd 20 --npb --print-freq 25
	$(BIN)/python test_models_center_crop.py $(DEMO_TEST) --output_dir $(DEMO_RESULTS)/center
	$(BIN)/python test_models_three_crops.py $(DEMO_TEST) --clip_index all --output_dir $(DEMO_RESULTS)/three_crops
	@echo; echo "One clip, one crop:"
	$(BIN)/python pkl_to_results.py --num_clips 1 --test_crops 1 --output_dir $(DEMO_RESULTS)/center \
		--class_names data/motion/classes.txt
	@echo; echo "Ten clips, three crops:"
	$(BIN)/python pkl_to_results.py --num_clips 10 --test_crops 3 --output_dir $(DEMO_RESULTS)/three_crops \
		--class_names data/motion/classes.txt
	@echo; echo "log:         log/$(DEMO_RUN)/log.txt"
	@echo "checkpoints: $(DEMO_MODELS)/ (best.pth.tar, last.pth.tar)"
	@echo "TensorBoard: tensorboard --logdir log/$(DEMO_RUN)"

demo-control: ## the same without motion modules: stays near chance, because appearance alone cannot tell the classes
	$(MAKE) demo DEMO_MOTION=none DEMO_SUFFIX=control

study: .venv/installed ## train all networks alike on the motion set and write docs/study.md; continues if interrupted (about two hours)
	$(BIN)/python scripts/benchmarks/study.py

# One thread in each test process: two of them share the cores.
test: .venv/installed-dev ## run the tests; make test WING=models runs those of tests/models only
	$(PYTEST) -n 2 --dist loadfile $(addprefix tests/,$(WING))

test-slow: .venv/installed-dev ## run the long tests as well (WING works here too)
	$(PYTEST) -n 2 --dist loadfile -m "not gpu" $(addprefix tests/,$(WING))

test-fuzz: .venv/installed-dev ## try more than 10,000 made-up lists, TOML files, pickles, checkpoints, command lines (minutes)
	$(PYTEST) tests/end_to_end/test_fuzz.py --hypothesis-profile=many

# REHEARSE=1 tries the next two on a CPU, with tiny sizes.
ifeq ($(REHEARSE),1)
GPU_TESTS := MSN_REHEARSE=1 TRITON_INTERPRET=1 MSN_GPU_REPORT=results/gpu/rehearsed_tests
GPU_BENCH := --device cpu --segments 2 --input_size 32 --batch_sizes 2 --output results/gpu/rehearsed_figures
else
GPU_TESTS := TRITON_INTERPRET=0 MSN_GPU_REPORT=results/gpu/tests
GPU_BENCH := --page docs/performance.md
endif

test-gpu: .venv/installed-dev ## run the tests that need a GPU; their results: results/gpu/tests.md and .json (REHEARSE=1: on a CPU)
	$(GPU_TESTS) $(PYTEST) -m gpu tests/gpu tests/training/test_nonfinite.py

bench-gpu: .venv/installed-dev ## measure on a GPU and fill docs/performance.md; results/gpu/figures.json (REHEARSE=1: on a CPU)
	$(BIN)/python scripts/benchmarks/gpu.py $(GPU_BENCH)

lint: .venv/installed-dev ## check style and types with ruff, mypy and shellcheck
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/shellcheck .ci/run scripts/*.sh scripts/shared/*.sh scripts/slurm/*.sbatch

clean: ## remove .venv and the caches of the tools; data, logs, checkpoints and results stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
