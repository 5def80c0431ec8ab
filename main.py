"""Train MSN, or evaluate a checkpoint on the validation list.

python main.py motion RGB --arch resnet10 --num_segments 4 --input_size 64 --pretrain none
torchrun --nproc_per_node=2 main.py something RGB --arch resnet50 --num_segments 8 --gd 20 --batch-size 8
"""

from ops.runtime import distributed, run_script, setup_logger
from ops.settings import parse_train
from ops.training import announce, evaluate, train


def main() -> None:
    config = parse_train()
    setup_logger(distributed.is_main())
    announce(config)
    device = distributed.pick_device(config.gpus)
    with distributed.process_group(device):
        if config.evaluate:
            evaluate(config, device)
        else:
            train(config, device)


if __name__ == "__main__":
    run_script(main)
