# make demo   render the motion set, train MSN on it, test it, report (about 10 minutes on 2 CPU cores)
# make test   run the tests      make test-slow   run the long ones too      make lint   ruff and mypy
# make test-fuzz   more than 10,000 made-up lists, TOML files, pickles, checkpoints and command lines (minutes)
# Environments are made as needed: .venv, from requirements.txt and requirements-dev.txt.

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

.PHONY: demo demo-control test test-slow test-fuzz lint clean

.venv/installed: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed, this is %s" % sys.version)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

demo: .venv/installed
	$(BIN)/python scripts/render_motion.py --out data/motion
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

# The same network and training without its motion modules: appearance alone cannot tell the classes.
demo-control:
	$(MAKE) demo DEMO_MOTION=none DEMO_SUFFIX=control

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# One thread a test process: two of them share the cores.
test: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "slow or not slow"

test-fuzz: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/test_fuzz.py --hypothesis-profile=many

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
