"""Makes the model of the image classifier: model.pt and classes.txt in the folder `model` beside this file.

It is trained here, in a second, on pictures that are made here: one of six colours, with noise.
"""

from pathlib import Path

import torch

COLOURS = {
    "red": (0.85, 0.1, 0.1),
    "green": (0.1, 0.7, 0.2),
    "blue": (0.1, 0.2, 0.85),
    "yellow": (0.9, 0.85, 0.1),
    "white": (0.95, 0.95, 0.95),
    "black": (0.05, 0.05, 0.05),
}


class ColourModel(torch.nn.Module):
    """Scores of classes, [N, C], for pictures, [N, 3, H, W] in 0 to 1."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.pool = torch.nn.AdaptiveAvgPool2d(1)
        self.hidden = torch.nn.Linear(3, 32)
        self.scores = torch.nn.Linear(32, classes)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.scores(torch.relu(self.hidden(self.pool(pictures).flatten(1))))


def main(folder: Path) -> None:
    torch.manual_seed(0)
    model, colours = ColourModel(len(COLOURS)), torch.tensor(list(COLOURS.values()))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    loss = torch.tensor(0.0)
    for _ in range(300):
        labels = torch.randint(len(COLOURS), (64,))
        pictures = colours[labels][:, :, None, None] + 0.1 * torch.randn(64, 3, 8, 8) + 0.05 * torch.randn(64, 3, 1, 1)
        loss = torch.nn.functional.cross_entropy(model(pictures.clamp(0, 1)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), folder / "model.pt")
    (folder / "classes.txt").write_text("\n".join(COLOURS) + "\n")
    print(f"{folder}: model.pt and classes.txt, loss {loss.item():.3f}")


if __name__ == "__main__":
    main(Path(__file__).with_name("model"))
