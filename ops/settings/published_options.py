"""Options of the published code of TDN, TSM and TSN that this project does not have, and what to use instead."""

_NOTHING = "it did nothing in the published code: remove it"
_TOP = "top-1 and top-5 are always reported: remove it"
_LAST_LISTS = "lists are given as --train_list FILE and --val_list FILE"

TRAINING = {
    "--lr_type": "use --lr_scheduler step or --lr_scheduler cosine",
    "--decoded_type": "use --decoder",
    "--store_name": "use --suffix NAME, which ends the name of the run's folders",
    "--experiment_name": "use --suffix NAME, which ends the name of the run's folders",
    "--snapshot_pref": "use --suffix NAME, which ends the name of the run's folders, and --root_model DIR",
    "--shift": "use --model tsm, which has the temporal shift",
    "--shift_div": "the temporal shift moves one eighth of the channels each way: remove it",
    "--shift_place": "the temporal shift is in every residual block: remove it",
    "--temporal_pool": "there is no temporal pooling: remove it",
    "--non_local": "there are no non-local blocks: remove it",
    "--flow_prefix": "only RGB frames are read: remove it",
    "--img_feature_dim": _NOTHING,
    "--k": _NOTHING,
    "--topk": _TOP,
    "--weights": "use -e --resume CHECKPOINT to validate it, or --tune_from CHECKPOINT to start from its weights",
    "--test_list": "use --val_list",
    ".txt": _LAST_LISTS,
}
TESTING = {
    "--modalities": "only RGB frames are read: remove it",
    "--topk": _TOP,
    "--crop_fusion_type": "pkl_to_results.py averages the crops: remove it",
    "--img_feature_dim": _NOTHING,
    "--num_set_segments": _NOTHING,
    "--pretrain": "the checkpoint of --weights holds all weights: remove it",
    "--twice_sample": "use --num_clips 2 --clip_index all",
    "--save_scores": "use --output_dir DIR",
    "--k": _NOTHING,
    "--dropout": "it only acts in training: remove it",
    "--flow_prefix": "only RGB frames are read: remove it",
    "--tune_from": "use --weights CHECKPOINT",
    "RGB": "the test scripts take no modality: only RGB frames are read",
    ".txt": "the list is given as --test_list FILE",
}
RESULTS = {
    "True": "--multi_segments takes no value",
    "False": "remove --multi_segments, which takes no value",
}
