"""Key names of MSN's published code: STP-ME, DS-ME and a learnable shift in a ResNet."""

from ops.checkpoints.published.key_table import RESNET_BATCH_NORMS, RESNET_NAMES, KeyTable

MSN = KeyTable(
    network="msn",
    mark=r"\.motion_layer\.",
    renamed=(
        (r"^base_model\.conv_diff_1\.0\.", "backbone.stpme.short_conv."),
        (r"^base_model\.conv_diff_1\.1\.", "backbone.stpme.short_bn."),
        (r"^base_model\.conv_diff_2\.0\.", "backbone.stpme.middle_conv."),
        (r"^base_model\.conv_diff_2\.1\.", "backbone.stpme.middle_bn."),
        (r"^base_model\.conv_1\.", "backbone.stpme.embed."),
        (r"^base_model\.conv_2\.", "backbone.stpme.long_conv."),
        *RESNET_NAMES,
        (r"\.shift\.conv\.", ".motion.shift."),
        (r"\.motion_layer\.", ".motion.dsme."),
        (r"\.dsme\.conv_down\.", ".dsme.reduce."),
        (r"\.dsme\.bn1\.", ".dsme.reduce_bn."),
        (r"\.dsme\.motion_offset\.", ".dsme.align3."),
        (r"\.dsme\.motion_offset_7\.", ".dsme.align5."),
        (r"\.conv_offset\.", ".offset."),
        (r"\.dsme\.conv1\.", ".dsme.pooled."),
        (r"\.dsme\.bn3\.", ".dsme.pooled_bn."),
        (r"\.dsme\.time_conv\.", ".dsme.temporal."),
        (r"\.dsme\.bn_t\.", ".dsme.temporal_bn."),
        (r"\.dsme\.conv\.", ".dsme.expand."),
        (r"\.dsme\.bn2\.", ".dsme.expand_bn."),
    ),
    batch_norm_of=(
        (r"(motion_layer\.)conv_down", r"\1bn1"),
        (r"(motion_layer\.)conv1", r"\1bn3"),
        (r"(motion_layer\.)time_conv", r"\1bn_t"),
        (r"(motion_layer\.)conv", r"\1bn2"),
        (r"(conv_diff_[12]\.)0", r"\g<1>1"),
        *RESNET_BATCH_NORMS,
    ),
    # Two convolutions that nothing reads, and biases that cancel in differences.
    dropped=r"base_model\.(conv1_temp|conv1_5)\.|base_model\.conv_[12]\.bias$",
)
