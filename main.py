"""Train a network, or evaluate a checkpoint on the validation list.

python main.py motion RGB --arch resnet10 --num_segments 4 --input_size 64 --pretrain none
torchrun --nproc_per_node=2 main.py @recipes/msn_something_v1_8f.args --root_path data/something
"""

from ops.runtime import run_script
from ops.settings import announce, parse_train


def main() -> None:
    config = parse_train()
    announce(config)
    # PyTorch takes seconds to import: a wrong command line, --help and the first line need not wait for it.
    from ops.runtime import distributed
    from ops.training import evaluate, train

    device = distributed.pick_device(config.gpus)
    with distributed.process_group(device, config.dist_timeout):
        if config.evaluate:
            evaluate(config, device)
        else:
            train(config, device)


if __name__ == "__main__":
    run_script(main)
