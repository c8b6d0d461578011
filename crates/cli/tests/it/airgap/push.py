# Puts an image for two architectures into a registry, by the plain protocol: address, name, tag.
# https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pushing-manifests
import gzip, hashlib, io, json, sys, tarfile, urllib.request

registry, name, tag = sys.argv[1:4]


def ask(method, url, data=None, kind="application/octet-stream"):
    asked = urllib.request.Request(url, data=data, method=method, headers={"content-type": kind})
    return urllib.request.urlopen(asked, timeout=30)


def blob(data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    begun = ask("POST", f"{registry}/v2/{name}/blobs/uploads/", b"").headers["location"]
    ask("PUT", f"{begun}{'&' if '?' in begun else '?'}digest={digest}", data)
    return {"digest": digest, "size": len(data)}


def manifest(said, kind, at):
    data = json.dumps({"schemaVersion": 2, "mediaType": kind, **said}).encode()
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    ask("PUT", f"{registry}/v2/{name}/manifests/{at or digest}", data, kind)
    return {"mediaType": kind, "digest": digest, "size": len(data)}


oci = "application/vnd.oci.image"
each = []
for arch in ["amd64", "arm64"]:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        text = f"{name} for {arch}\n".encode()
        header = tarfile.TarInfo("hello")
        header.size = len(text)
        archive.addfile(header, io.BytesIO(text))
    plain = "sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()
    config = {"architecture": arch, "os": "linux", "rootfs": {"type": "layers", "diff_ids": [plain]}}
    said = {
        "config": {"mediaType": f"{oci}.config.v1+json", **blob(json.dumps(config).encode())},
        "layers": [{"mediaType": f"{oci}.layer.v1.tar+gzip", **blob(gzip.compress(layer.getvalue(), mtime=0))}],
    }
    one = manifest(said, f"{oci}.manifest.v1+json", None)
    each.append({**one, "platform": {"os": "linux", "architecture": arch}})
manifest({"manifests": each}, f"{oci}.index.v1+json", tag)
