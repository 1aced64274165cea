"""The package that everything here needs."""

try:
    import ray
    import ray.data
except ImportError as error:
    raise ImportError("vlstore.ray needs ray: pip install 'vlstore[ray]'") from error

__all__ = ["ray"]
