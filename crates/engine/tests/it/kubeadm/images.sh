# Makes the images that kubeadm and containerd ask for, in one archive as the Open Container Initiative has it, out of the
# programs themselves: folder with these, archive, then the images' names.
# <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>
# Nobody asks for names or needs a service's address here: CoreDNS, and kube-proxy where the folder has none, do nothing.
set -eu
assets=$1 archive=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
blobs=$work/oci/blobs/sha256
mkdir -p "$blobs"

# Puts a file among the blobs; `digest` and `size` are its own.
blob() {
  digest=$(sha256sum <"$1" | cut -c 1-64) size=$(stat -c %s "$1")
  mv "$1" "$blobs/$digest"
}

stand_in() {
  printf '#!/bin/busybox sh\ntrap "exit 0" TERM\nwhile :; do busybox sleep 3600 & wait; done\n' >"$1"
  chmod 755 "$1"
}

manifests=
for image; do
  root=$work/root bin=$work/root/usr/local/bin
  program=${image%:*} program=${program##*/}
  rm -rf "$root"
  mkdir -p "$bin" "$root/bin" "$root/tmp"
  cp "$assets/busybox" "$root/bin/busybox"
  case $program in
  etcd) cp "$assets/etcd" "$assets/etcdctl" "$assets/etcdutl" "$bin" ;;
  *) if [ -e "$assets/$program" ]; then cp "$assets/$program" "$bin"; else stand_in "$bin/$program"; fi ;;
  esac
  tar -C "$root" --owner=0 --group=0 -cf "$work/layer" .
  blob "$work/layer"
  layer="{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:$digest\",\"size\":$size}"
  printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["/usr/local/bin/%s"],%s},%s}' "$(dpkg --print-architecture)" \
    "$program" '"Env":["PATH=/usr/local/bin:/bin"]' "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:$digest\"]}" >"$work/config"
  blob "$work/config"
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' \
    "{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:$digest\",\"size\":$size}" "$layer" >"$work/manifest"
  blob "$work/manifest"
  manifests="$manifests${manifests:+,}{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:$digest\",\
\"size\":$size,\"annotations\":{\"io.containerd.image.name\":\"$image\"}}"
done
printf '{"schemaVersion":2,"manifests":[%s]}' "$manifests" >"$work/oci/index.json"
printf '{"imageLayoutVersion":"1.0.0"}' >"$work/oci/oci-layout"
tar -C "$work/oci" -cf "$archive" .
