"""GRPO's loss with an entropy bonus and a KL penalty whose coefficients belong to each row.

TRL knows one `beta` and one `entropy_coef` for a whole run. Cumulative stages mix tiers in a
batch, so here both are columns (METHOD, section 'Curriculum'). The policy term is TRL's
`loss_type="grpo"`: a mean over a completion's tokens, then over completions.
"""

from dataclasses import dataclass
from typing import Any

import torch
from trl import GRPOTrainer

from mmedagent.errors import MMedAgentError
from mmedagent.training.packing import can_pack, packed_logits


@dataclass(frozen=True)
class Loss:
    """The loss to minimise (a scalar with gradient) and its detached parts."""

    value: torch.Tensor
    kl: torch.Tensor
    entropy: torch.Tensor
    clipped_share: torch.Tensor


def grpo_loss(
    log_probs: torch.Tensor,
    old_log_probs: torch.Tensor,
    reference_log_probs: torch.Tensor,
    entropies: torch.Tensor,
    advantages: torch.Tensor,
    mask: torch.Tensor,
    gamma: torch.Tensor,
    beta: torch.Tensor,
    weight: torch.Tensor,
    clip: float,
) -> Loss:
    """Return - J for a batch: J_i = clipped policy term - beta_i KL_i + gamma_i H_i, averaged.

    Args:
        log_probs, old_log_probs, reference_log_probs, entropies: float [rows, tokens], in nats, of
            the policy, of the policy that sampled, of the Start, and of the whole next-token
            distribution at the sampling temperature.
        advantages: float [rows], a reward standardised within its group.
        mask: [rows, tokens], 1 where a token was generated.
        gamma, beta: float [rows], a row's entropy and KL coefficients.
        weight: float [rows], 0 leaves a row out of the loss and of its average.
        clip: epsilon of the clipped ratio.

    KL is the k3 estimate exp(d) - d - 1 with d = log reference - log policy, never below zero.
    """
    ratio = torch.exp(log_probs - old_log_probs)
    advantage = advantages.unsqueeze(1)
    policy = torch.min(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    difference = reference_log_probs - log_probs
    kl = torch.exp(difference) - difference - 1
    lengths = mask.sum(1).clamp(min=1)

    def per_row(values: torch.Tensor) -> torch.Tensor:
        return (values * mask).sum(1) / lengths

    def over_rows(values: torch.Tensor) -> torch.Tensor:
        return (values * weight).sum() / weight.sum().clamp(min=1)

    objective = per_row(policy) - beta * per_row(kl) + gamma * per_row(entropies)
    clipped = ((ratio - 1).abs() > clip).float()
    return Loss(
        value=-over_rows(objective),
        kl=over_rows(per_row(kl.detach())),
        entropy=over_rows(per_row(entropies.detach())),
        clipped_share=over_rows(per_row(clipped)),
    )


class DoctorTrainer(GRPOTrainer):
    """`GRPOTrainer` whose rows carry `gamma` and `beta`, as columns of the data set."""

    drop_groups_without_variance: bool = False

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Add the columns to what TRL made of the rollouts; they survive its shuffle."""
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        advantages = output["advantages"]
        for name in ("gamma", "beta"):
            values = [float(row[name]) for row in inputs]
            output[name] = torch.tensor(values, dtype=advantages.dtype, device=advantages.device)
        groups = advantages.view(-1, self.num_generations).abs().amax(dim=1)
        varied = (groups > 0).to(advantages.dtype).repeat_interleave(self.num_generations)
        output["weight"] = varied if self.drop_groups_without_variance else torch.ones_like(varied)
        return output

    def _get_per_token_logps_and_entropies(
        self,
        model: torch.nn.Module,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        **inputs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        """Return log-probabilities and entropies [rows, logits_to_keep], from whole logits.

        TRL computes them in tiles and recomputes in the backward pass, which a vocabulary of
        150 000 needs; for a small one that tripled the time. Above `WHOLE_LOGITS` values, or with
        images beside the prompt's, TRL's own way is taken.
        """
        vocabulary = self.model.config.get_text_config().vocab_size
        if input_ids.shape[0] * logits_to_keep * vocabulary > WHOLE_LOGITS:
            result: tuple[torch.Tensor, torch.Tensor | None, None]
            result = super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, batch_size, **inputs
            )
            return result
        compute_entropy = inputs.pop("compute_entropy", False)
        given = {name: inputs[name] for name in _MODEL_INPUTS if inputs.get(name) is not None}
        if can_pack(inputs.get("num_images"), inputs.get("image_grid_thw")):
            inner = self.accelerator.unwrap_model(self.model).model
            logits = packed_logits(model, inner, input_ids, attention_mask, logits_to_keep, **given)
        else:
            logits = model(
                input_ids=input_ids,
                attention_mask=attention_mask,
                logits_to_keep=logits_to_keep + 1,
                use_cache=False,
                **given,
            ).logits[:, :-1]
        scores = torch.log_softmax(logits / self.temperature, dim=-1)
        tokens = input_ids[:, -logits_to_keep:].unsqueeze(-1)
        entropies = -(scores.exp() * scores).sum(-1) if compute_entropy else None
        return scores.gather(-1, tokens).squeeze(-1), entropies, None

    def _compute_loss(self, model: torch.nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
        """Return the batch's loss; raises `MMedAgentError` when it is no number."""
        inputs = select_rows(inputs, _used_rows(inputs["weight"]))
        mask = inputs["completion_mask"]
        input_ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        attention_mask = torch.cat([inputs["prompt_mask"], mask], dim=1)
        log_probs, entropies, _ = self._get_per_token_logps_and_entropies(
            model,
            input_ids,
            attention_mask,
            mask.shape[1],
            compute_entropy=True,
            **{name: inputs.get(name) for name in _FORWARD},
        )
        assert entropies is not None
        loss = grpo_loss(
            log_probs,
            inputs.get("old_per_token_logps", log_probs.detach()),
            inputs.get("ref_per_token_logps", log_probs.detach()),
            entropies,
            inputs["advantages"],
            mask,
            inputs["gamma"],
            inputs["beta"],
            inputs["weight"],
            self.epsilon_low,
        )
        if not torch.isfinite(loss.value):
            raise MMedAgentError(
                f"step {self.state.global_step}: the loss is {loss.value.item()}; "
                "lower learning_rate or max_grad_norm, or raise the KL coefficient"
            )
        metrics = self._metrics["train" if self.model.training else "eval"]
        metrics["kl"].append(loss.kl.item())
        metrics["entropy"].append(loss.entropy.item())
        metrics["clipped_share"].append(loss.clipped_share.item())
        scaled: torch.Tensor = loss.value / self.current_gradient_accumulation_steps
        return scaled


WHOLE_LOGITS = 2**26
"""Most logits of a batch that are held at once: 256 MiB in float32."""
_MODEL_INPUTS = ("pixel_values", "image_grid_thw", "mm_token_type_ids")
_FORWARD = ("pixel_values", "image_grid_thw", "num_images", "mm_token_type_ids")


def _used_rows(weight: torch.Tensor) -> torch.Tensor:
    """Return the numbers of rows that weigh anything; the first one if none does.

    Rows that are left out of the loss need no forward pass. One row of weight zero keeps the
    loss connected to the parameters when every group was without variance.
    """
    rows = weight.nonzero().squeeze(1)
    return rows if len(rows) else torch.zeros(1, dtype=torch.long, device=weight.device)


def select_rows(inputs: dict[str, Any], rows: torch.Tensor) -> dict[str, Any]:
    """Return `inputs` with only `rows` of every per-row entry, images included."""
    count = inputs["advantages"].shape[0]
    if len(rows) == count:
        return inputs
    numbers = rows.tolist()
    images = {"pixel_values", "image_grid_thw", "num_images"}
    chosen: dict[str, Any] = {}
    for name, value in inputs.items():
        per_row = isinstance(value, torch.Tensor) and value.dim() and value.shape[0] == count
        chosen[name] = value[rows] if per_row and name not in images else value
    if "pixel_values" in inputs:
        per_image = inputs["image_grid_thw"].prod(dim=1).tolist()
        patches = inputs["pixel_values"].split(per_image)
        ends = torch.tensor(inputs["num_images"]).cumsum(0).tolist()
        kept = [
            image
            for row in numbers
            for image in range(ends[row] - inputs["num_images"][row], ends[row])
        ]
        chosen["pixel_values"] = torch.cat([patches[image] for image in kept])
        chosen["image_grid_thw"] = inputs["image_grid_thw"][kept]
        chosen["num_images"] = [inputs["num_images"][row] for row in numbers]
    return chosen
