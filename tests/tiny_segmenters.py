"""Tiny models of transformers that look at images for others: depth, classes, text to mask, text to boxes, SAM."""

from __future__ import annotations

from pathlib import Path

from tiny_readers import _SPECIAL, WORDS, _tokenizer


def tiny_depth(folder: Path, seed: int = 0) -> Path:
    """A Depth Anything."""
    import torch
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessor

    torch.manual_seed(seed)
    backbone = Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=28, patch_size=14,
        out_features=["stage1", "stage2"], apply_layernorm=True, reshape_hidden_states=False,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, patch_size=14, reassemble_hidden_size=16, reassemble_factors=[2, 1],
        neck_hidden_sizes=[8, 8], fusion_hidden_size=8, head_in_index=-1, head_hidden_size=8,
    )  # fmt: skip
    DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    DPTImageProcessor(size={"height": 28, "width": 28}, ensure_multiple_of=14).save_pretrained(folder)
    return folder


def tiny_classes(folder: Path, seed: int = 0) -> Path:
    """A SegFormer of five classes."""
    import torch
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    torch.manual_seed(seed)
    names = {0: "wall", 1: "sky", 2: "person, individual", 3: "tree", 4: "sea"}
    config = SegformerConfig(
        hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 1, 1], decoder_hidden_size=8,
        mlp_ratios=[1, 1, 1, 1], sr_ratios=[4, 2, 1, 1], id2label=names, label2id={v: k for k, v in names.items()},
    )  # fmt: skip
    made = SegformerForSemanticSegmentation(config)
    made.decode_head.classifier.weight.data.mul_(20)
    made.save_pretrained(folder)
    SegformerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


def tiny_clipseg(folder: Path, seed: int = 0) -> Path:
    """A CLIPSeg."""
    import torch
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, CLIPSegProcessor, ViTImageProcessor

    torch.manual_seed(seed)
    shared = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {
        **shared, "vocab_size": len(WORDS) + len(_SPECIAL), "max_position_embeddings": 32,
        "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0,
    }  # fmt: skip
    config = CLIPSegConfig(
        text_config=text, vision_config={**shared, "image_size": 32, "patch_size": 8}, projection_dim=16,
        extract_layers=[0, 1], reduce_dim=8, decoder_num_attention_heads=2, decoder_intermediate_size=16,
    )  # fmt: skip
    CLIPSegForImageSegmentation(config).save_pretrained(folder)
    images = ViTImageProcessor(size={"height": 32, "width": 32})
    CLIPSegProcessor(images, _tokenizer(framed=True)).save_pretrained(folder)
    return folder


def tiny_sam(folder: Path, seed: int = 0) -> Path:
    """A SAM."""
    import torch
    from transformers import SamConfig, SamImageProcessor, SamModel, SamProcessor

    torch.manual_seed(seed)
    vision = {
        "hidden_size": 16, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 64,
        "patch_size": 16, "mlp_dim": 32, "window_size": 2, "global_attn_indexes": [1], "num_pos_feats": 8,
    }  # fmt: skip
    prompt = {
        "hidden_size": 16,
        "image_size": 64,
        "patch_size": 16,
        "image_embedding_size": 4,
        "mask_input_channels": 4,
    }
    decoder = {
        "hidden_size": 16, "mlp_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
    }  # fmt: skip
    config = SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)
    SamModel(config).save_pretrained(folder)
    images = SamImageProcessor(size={"longest_edge": 64}, pad_size={"height": 64, "width": 64})
    SamProcessor(images).save_pretrained(folder)
    return folder


def tiny_sam2(folder: Path, seed: int = 0) -> Path:
    """A SAM 2 as it is published: the model for videos, which holds the one for images."""
    import torch
    from transformers import (
        Sam2HieraDetConfig,
        Sam2ImageProcessor,
        Sam2VideoConfig,
        Sam2VideoModel,
        Sam2VideoProcessor,
        Sam2VideoVideoProcessor,
        Sam2VisionConfig,
    )

    torch.manual_seed(seed)
    widths = [8, 16, 32, 64]
    backbone = Sam2HieraDetConfig(
        hidden_size=8, num_attention_heads=1, image_size=[64, 64], blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=widths, num_attention_heads_per_stage=[1, 1, 2, 2], window_size_per_stage=[4, 4, 2, 2],
        window_positional_embedding_background_size=[4, 4], global_attention_blocks=[3],
    )  # fmt: skip
    vision = Sam2VisionConfig(
        backbone_config=backbone, backbone_channel_list=widths[::-1], fpn_hidden_size=32,
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
    )  # fmt: skip
    config = Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 32, "mlp_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
        },
        image_size=64, memory_attention_hidden_size=32, memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32, memory_attention_rope_feat_sizes=[4, 4],
        memory_encoder_hidden_size=32, memory_encoder_output_channels=8, mask_downsampler_embed_dim=32,
        memory_fuser_embed_dim=32, memory_fuser_intermediate_dim=32,
    )  # fmt: skip
    Sam2VideoModel(config).save_pretrained(folder)
    images = Sam2ImageProcessor(size={"height": 64, "width": 64})
    Sam2VideoProcessor(images, Sam2VideoVideoProcessor(size={"height": 64, "width": 64})).save_pretrained(folder)
    return folder


def tiny_detector(folder: Path, seed: int = 0) -> Path:
    """A Grounding DINO."""
    import torch
    from transformers import (
        BertConfig,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
        SwinConfig,
    )

    torch.manual_seed(seed)
    size = len(WORDS) + len(_SPECIAL) + 2
    backbone = SwinConfig(
        image_size=32, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=2,
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    text = BertConfig(
        vocab_size=size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32,
    )  # fmt: skip
    config = GroundingDinoConfig(
        backbone_config=backbone, text_config=text, d_model=32, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=6,
        num_feature_levels=3, max_text_len=32,
    )  # fmt: skip
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    images = GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    GroundingDinoProcessor(images, _tokenizer(framed=True)).save_pretrained(folder)
    return folder
