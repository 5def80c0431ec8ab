"""Key names of TDN's published code: S-TDM, L-TDM (``mse``) and a learnable shift in a ResNet."""

from ops.checkpoints.published.key_table import RESNET_BATCH_NORMS, RESNET_NAMES, KeyTable

TDN = KeyTable(
    network="tdn",
    mark=r"\.mse\.",
    renamed=(
        (r"^base_model\.conv1_5\.0\.", "backbone.stdm.conv."),
        (r"^base_model\.conv1_5\.1\.", "backbone.stdm.bn."),
        *RESNET_NAMES,
        (r"\.shift\.conv\.", ".motion.shift."),
        (r"\.mse\.", ".motion.ltdm."),
        (r"\.ltdm\.conv1\.", ".ltdm.reduce."),
        (r"\.ltdm\.bn1\.", ".ltdm.reduce_bn."),
        (r"\.ltdm\.conv2\.", ".ltdm.align."),
        (r"\.ltdm\.conv3_smallscale2\.", ".ltdm.half_scale."),
        (r"\.ltdm\.bn3_smallscale2\.", ".ltdm.half_scale_bn."),
        (r"\.ltdm\.conv3_smallscale4\.", ".ltdm.full_scale."),  # despite its name
        (r"\.ltdm\.bn3_smallscale4\.", ".ltdm.full_scale_bn."),
        (r"\.ltdm\.conv3\.", ".ltdm.expand."),
        (r"\.ltdm\.bn3\.", ".ltdm.expand_bn."),
    ),
    batch_norm_of=RESNET_BATCH_NORMS,
    dropped=r"base_model\.conv1_temp\.",
)
