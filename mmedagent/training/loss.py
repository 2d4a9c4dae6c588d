"""GRPO's loss with an entropy bonus and a KL penalty whose coefficients belong to each row.

TRL knows one `beta` and one `entropy_coef` for a whole run. Cumulative stages mix tiers in a
batch, so here both are columns (METHOD, section 'Curriculum'). The policy term is TRL's
`loss_type="grpo"`: a mean over a completion's tokens, then over completions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from accelerate.utils import gather_object
from trl import GRPOTrainer

from mmedagent.training.adapters import plain
from mmedagent.training.guards import first_bad, stop_at_bad_number
from mmedagent.training.packing import can_pack, packed_logits


@dataclass(frozen=True)
class Loss:
    """The loss to minimise (a scalar with gradient) and its detached parts, means over rows."""

    value: torch.Tensor
    kl: torch.Tensor
    entropy: torch.Tensor
    clipped_share: torch.Tensor
    """Of the tokens whose ratio lies outside 1 +- clip."""


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
    total: torch.Tensor | None = None,
    correction: torch.Tensor | None = None,
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
        total: float scalar, what the weighted sum of the rows is divided by; the sum of `weight`
            unless these rows are a part of an optimiser step, whose total it then is.
        correction: float [rows, tokens] or [rows, 1], factors of the policy term where another
            engine sampled than the one trained (TRL's `importance_sampling_ratio`).

    KL is the k3 estimate exp(d) - d - 1 with d = log reference - log policy, never below zero.
    """
    ratio = torch.exp(log_probs - old_log_probs)
    advantage = advantages.unsqueeze(1)
    policy = torch.min(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    if correction is not None:
        policy = policy * correction
    difference = reference_log_probs - log_probs
    kl = torch.exp(difference) - difference - 1
    lengths = mask.sum(1).clamp(min=1)

    def per_row(values: torch.Tensor) -> torch.Tensor:
        return (values * mask).sum(1) / lengths

    def over_rows(values: torch.Tensor) -> torch.Tensor:
        return (values * weight).sum() / weight.sum().clamp(min=1)

    objective = per_row(policy) - beta * per_row(kl) + gamma * per_row(entropies)
    clipped = ((ratio - 1).abs() > clip).float()
    total = weight.sum() if total is None else total
    return Loss(
        value=-(objective * weight).sum() / torch.where(total > 0, total, torch.ones_like(total)),
        kl=over_rows(per_row(kl.detach())),
        entropy=over_rows(per_row(entropies.detach())),
        clipped_share=over_rows(per_row(clipped)),
    )


class DoctorTrainer(GRPOTrainer):
    """`GRPOTrainer` whose rows carry `gamma` and `beta`, as columns of the data set.

    A third column, `row`, is a case's place in `case_ids`.
    """

    drop_groups_without_variance: bool = False
    case_ids: Sequence[str] = ()

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Add the columns to what TRL made of the rollouts; they survive its shuffle.

        `total_weight` is the sum of `weight` over all processes and over all micro-batches of the
        rollouts. Dropped groups lie unevenly in those, so a mean over each micro-batch's own rows
        would not be the mean over the step's.
        """
        try:
            output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        except RuntimeError as error:
            if "probability tensor" not in str(error):  # torch.multinomial has no class of its own
                raise
            self._stop("a probability of the policy", math.nan, _MEND, _rows(inputs))
        advantages = output["advantages"]
        for name in ("gamma", "beta"):
            values = [float(row[name]) for row in inputs]
            output[name] = torch.tensor(values, dtype=advantages.dtype, device=advantages.device)
        output["row"] = torch.tensor(_rows(inputs), device=advantages.device)
        # Of all processes: one process's rows may begin or end inside a group.
        weight = torch.ones_like(everywhere := self.accelerator.gather(advantages))
        if self.drop_groups_without_variance:
            weight = in_varied_groups(everywhere, self.num_generations).to(weight.dtype)
        first = self.accelerator.process_index * len(inputs)
        output["weight"] = weight[first : first + len(inputs)]
        output["total_weight"] = weight.sum()
        return output

    def _calculate_rewards(self, inputs: list[dict[str, Any]], *args: Any) -> torch.Tensor:
        """Return TRL's rewards [rows of all processes, functions]; stops at one that is none."""
        rewards: torch.Tensor = super()._calculate_rewards(inputs, *args)
        if (bad := first_bad(rewards.flatten().tolist())) is not None:
            places = (~rewards.isfinite()).any(1).nonzero().flatten().tolist()
            rows = gather_object(_rows(inputs))
            self._stop(
                "a reward", bad, "the reward function is at fault", [rows[n] for n in places]
            )
        return rewards

    def _get_grad_norm(self, model: torch.nn.Module, grad_norm: Any = None) -> Any:
        """Return the norm of the gradient; stops before the weights would follow a bad one."""
        norm = super()._get_grad_norm(model, grad_norm)
        if norm is not None and (bad := first_bad([float(norm)])) is not None:
            rows = [row for batch in self._buffered_inputs for row in batch["row"].tolist()]
            self._stop("the gradient's norm", bad, _MEND, rows)
        return norm

    def _stop(self, what: str, value: float, mend: str, rows: Sequence[int]) -> NoReturn:
        stop_at_bad_number(
            what,
            value,
            mend,
            step=self.state.global_step + 1,
            cases=[self.case_ids[row] for row in rows],
            work=Path(self.args.output_dir),
        )

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
        if self._logits(len(input_ids), logits_to_keep) > WHOLE_LOGITS:
            result: tuple[torch.Tensor, torch.Tensor | None, None]
            result = super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, batch_size, **inputs
            )
            return result
        compute_entropy = inputs.pop("compute_entropy", False)
        given = {name: inputs[name] for name in _MODEL_INPUTS if inputs.get(name) is not None}
        if can_pack(inputs.get("num_images"), inputs.get("image_grid_thw")):
            inner = plain(self.accelerator.unwrap_model(self.model)).model
            logits = packed_logits(model, inner, input_ids, attention_mask, logits_to_keep, **given)
        else:
            logits = model(
                input_ids=input_ids,
                attention_mask=attention_mask,
                logits_to_keep=logits_to_keep + 1,
                use_cache=False,
                **given,
            ).logits[:, :-1]
        if logits.dtype in (torch.bfloat16, torch.float16):
            logits = logits.float()  # a log-probability of half precision is off by hundredths
        scores = torch.log_softmax(logits / self.temperature, dim=-1)
        tokens = input_ids[:, -logits_to_keep:].unsqueeze(-1)
        entropies = -(scores.exp() * scores).sum(-1) if compute_entropy else None
        return scores.gather(-1, tokens).squeeze(-1), entropies, None

    def _logits(self, rows: int, length: int) -> int:
        """Return how many logits a batch has; with several processes, how many it may have.

        Processes that share weights (ZeRO-3) must take the same way through the model, however
        many rows and tokens each of them happens to hold.
        """
        vocabulary: int = self.model.config.get_text_config().vocab_size
        if self.accelerator.num_processes > 1:
            rows, length = self.args.per_device_train_batch_size, self.max_completion_length
        return rows * length * vocabulary

    def _compute_loss(self, model: torch.nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
        """Return a micro-batch's part of the step's loss; stops when it is no number."""
        rows = inputs["row"]
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
            self._total(inputs["total_weight"]),
            inputs.get("importance_sampling_ratio"),
        )
        if (bad := first_bad([loss.value.item()])) is not None:
            self._stop("the loss", bad, _MEND, rows.tolist())
        self._note(loss, inputs["weight"].sum())
        return loss.value

    def _total(self, total_weight: torch.Tensor) -> torch.Tensor:
        """Return what this process divides a micro-batch's sum by.

        Gradients are added up over micro-batches and averaged over processes. Rollouts may last
        for more micro-batches than one optimiser step has, hence TRL's ratio of the two numbers.
        """
        share: float = self.current_gradient_accumulation_steps / self.args.steps_per_generation
        return total_weight * (share / int(self.accelerator.num_processes))

    def _note(self, loss: Loss, weight: torch.Tensor) -> None:
        """Log means over the rows of all processes; nothing where no row weighs anything."""
        parts = {"kl": loss.kl, "entropy": loss.entropy, "clipped_share": loss.clipped_share}
        sums = torch.stack([*(part * weight for part in parts.values()), weight])
        *means, weighed = self.accelerator.reduce(sums, reduction="sum").tolist()
        metrics = self._metrics["train" if self.model.training else "eval"]
        for name, value in zip(parts, means, strict=True):
            if weighed:
                metrics[name].append(value / weighed)


_MEND = "lower learning_rate or max_grad_norm, or raise the KL coefficient"
WHOLE_LOGITS = 2**26
"""Most logits of a batch that are held at once: 256 MiB in float32."""
_MODEL_INPUTS = ("pixel_values", "image_grid_thw", "mm_token_type_ids")
_FORWARD = ("pixel_values", "image_grid_thw", "num_images", "mm_token_type_ids")


def _rows(inputs: list[dict[str, Any]]) -> list[int]:
    return [int(row["row"]) for row in inputs]


def in_varied_groups(advantages: torch.Tensor, group: int) -> torch.Tensor:
    """Return bool [rows]: whether a row's group of `group` rows had any variance of rewards.

    `advantages` [rows] is exactly zero throughout a group whose rewards were all equal.
    """
    varied = advantages.view(-1, group).abs().amax(dim=1) > 0
    return varied.repeat_interleave(group)


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
