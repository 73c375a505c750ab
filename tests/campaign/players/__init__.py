"""Everybody but us: the controllers of Kubernetes, the kubelet, and the Job's program."""
