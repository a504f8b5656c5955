"""Translation, German to English, of Debian's package descriptions: docs/translation-protocol.md.

descriptions  sentence pairs out of apt's files, split by source package
prepare       fetches the files, learns the pieces, and writes what a training reads
sentences     what a training reads, in batches
train         trains one network; resumable
judge         BLEU of PyTorch and of the folded graphs
bfloat16      fifty steps in bfloat16 beside float32
"""
