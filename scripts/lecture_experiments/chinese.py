"""The words of the tables in Chinese, as a Chinese textbook has them."""

import re
from collections.abc import Mapping
from types import MappingProxyType

WORDS: Mapping[str, str] = MappingProxyType(
    {
        "tried": "所试的网络",
        "updates": "更新次数",
        "training loss": "训练损失",
        "test accuracy": "测试准确率",
        "reported elsewhere": "他处报告",
        "the lecture's own: sigmoid, cross-entropy, Adam": "讲义本身：sigmoid、交叉熵、Adam",
        "mean squared error, gradient descent": "均方误差、梯度下降",
        "cross-entropy, gradient descent": "交叉熵、梯度下降",
        "ReLU, cross-entropy, gradient descent": "ReLU、交叉熵、梯度下降",
        "mean squared error, Adam": "均方误差、Adam",
        "ReLU, cross-entropy, Adam": "ReLU、交叉熵、Adam",
        "ReLU, mean squared error, Adam": "ReLU、均方误差、Adam",
        "no hidden layer: multinomial logistic regression": "没有隐藏层：多项逻辑回归",
        "cross-entropy, L-BFGS over all examples, 100 passes": "交叉熵、L-BFGS（全部样本，遍历 100 遍）",
        "means of zones": "各区域的平均值（zoning）",
        "principal components (PCA)": "主成分（PCA）",
        "edge directions (HOG)": "方向梯度直方图（HOG）",
        "features": "特征",
        "pixels": "像素",
        "numbers for an image": "每幅图像的特征数",
        "of these are 0": "其中为 0 的",
        "first layer": "第一层",
        "last hidden layer": "最后一个隐藏层",
        "output layer": "输出层",
        "first / last hidden": "第一层 / 最后一个隐藏层",
        "epochs": "epoch 数",
        "settings": "所试的设置",
        "mean": "平均",
        "all together": "共同回答",
        "calibration error": "校准误差",
        "sure from": "有把握的概率",
        "refused": "拒绝的测试图像",
        "right of the others": "其余的正确率",
        "right of the images held out": "留出的图像上的准确率",
        "elastic: the preset, but 30 epochs": "elastic：即 preset，但只有 30 个 epoch",
        "elastic: labels smoothed by 0.1, rate up to 0.008": "elastic：标签平滑 0.1，学习率最高到 0.008",
        "elastic: strength 36, scaled by 15 %, sheared by 0.2, not moved": (
            "elastic：强度 36，缩放 15 %，倾斜 0.2，不平移"
        ),
        "elastic: no batch normalisation, rate up to 0.002": "elastic：没有批归一化，学习率最高到 0.002",
        "cnn: 32 and 64 filters of 5 x 5": "cnn：5 x 5 的卷积核 32 个和 64 个",
        "cnn: the same, dropout 0.4, images not moved": "cnn：同上，dropout 0.4，图像不平移",
        "cnn: 24 of 5 x 5, 48 and 64 of 3 x 3": "cnn：5 x 5 的 24 个，3 x 3 的 48 个和 64 个",
        "cnn: the preset, but 12 epochs": "cnn：即 preset，但只有 12 个 epoch",
        "deep: 1500, 1000 and 500 units": "deep：1500、1000 和 500 个神经元",
        "deep: the same, dropout 0.2": "deep：同上，dropout 0.2",
        "deep: the same, strength 36, 12 degrees, 15 %, 0.2": "deep：同上，强度 36，12 度，15 %，0.2",
        "deep: the same, no dropout": "deep：同上，没有 dropout",
        "backend": "后端",
        "seconds": "秒",
        "ms": "毫秒",
        "level: bound": "级别：界限",
        "L0 functions: 2 to 8 ULP (softmax: more)": "L0 函数：2 到 8 ULP（softmax 更多）",
        "L1 one layer or loss: u (sqrt(k - 1) + 10), and its condition": (
            "L1 一层或一个损失函数：u (sqrt(k - 1) + 10)，再乘条件数"
        ),
        "L2 whole network, gradients: from the variance of every number": (
            "L2 整个网络及其梯度：由每个数的方差得出"
        ),
        "L3 single steps, early and late in a training: as L2; update: a few u": (
            "L3 训练初期和后期的单步更新：同 L2；更新本身为几个 u"
        ),
        "L4 trainings, every optimizer, and whole fits: 1e-9 in float64": (
            "L4 用每种优化器训练，以及完整的 fit：float64 下 1e-9"
        ),
        "native PyTorch": "原生 PyTorch",
        "standard deviation, points": "标准差（百分点）",
        "paired difference, points": "成对的差别（百分点）",
        "PyTorch, fused Adam": "PyTorch，融合的 Adam",
        "JAX, epoch in one jit": "JAX，一个 epoch 在一个 jit 中",
        "Keras on JAX": "JAX 上的 Keras",
        "products alone, torch.mm": "单纯的矩阵乘法，torch.mm",
        "batch of all: one update an epoch": "全部样本为一个 batch：每个 epoch 更新一次",
        "about 87 % (training)": "约 87 %（训练集）",
        "94.39 % (10,000 images)": "94.39 %（10,000 幅图像）",
    }
)
LINEAR = ", no hidden layer"
_PATTERNS = (
    (re.compile(r"(\d+) hidden layers? of (\d+), (\w+)"), r"\1 个隐藏层，每层 \2 个神经元，\3"),
    (re.compile(r"seed (\d)"), r"种子 \1"),
    (re.compile(r"batch of (\d+)"), r"每个 batch \1 个样本"),
)


def chinese(text: str) -> str:
    """A cell of a table in Chinese; numbers and names stay as they are."""
    if text in WORDS:
        return WORDS[text]
    if text.endswith(LINEAR):
        return f"{chinese(text.removesuffix(LINEAR))}，没有隐藏层"
    for pattern, words in _PATTERNS:
        if pattern.fullmatch(text):
            return pattern.sub(words, text)
    return text
