#!/bin/sh
# Fashion-MNIST from Debian's package dataset-fashion-mnist.
#
#   sh prepare_fashion_mnist.sh              install the package; lfp-snn finds it in /usr/share/datasets
#   sh prepare_fashion_mnist.sh DATA_ROOT    and copy the four files to DATA_ROOT/FashionMNIST/raw
set -eu

installed=${FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
files="train-images-idx3-ubyte.gz train-labels-idx1-ubyte.gz t10k-images-idx3-ubyte.gz t10k-labels-idx1-ubyte.gz"

if [ ! -f "$installed/train-images-idx3-ubyte.gz" ]; then
    if ! command -v apt-get > /dev/null; then
        echo "There is no apt-get here: download the four files from https://github.com/zalandoresearch/fashion-mnist" >&2
        echo "and put them into DATA_ROOT/FashionMNIST/raw." >&2
        exit 1
    fi
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update
    $sudo apt-get install --yes dataset-fashion-mnist
fi

if [ $# -ge 1 ]; then
    mkdir -p "$1/FashionMNIST/raw"
    for file in $files; do
        cp "$installed/$file" "$1/FashionMNIST/raw/"
    done
    echo "Fashion-MNIST is in $1/FashionMNIST/raw"
else
    echo "Fashion-MNIST is in $installed"
fi
