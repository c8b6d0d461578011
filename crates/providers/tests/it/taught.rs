//! What the pretend cluster answers and does not do, and is taught to do. What a test shows with it is shown by the requests
//! that are made, and not on the real thing; the contract of providers lists it.

/// It keeps backup jobs.
pub(crate) const KEEPS_JOBS: &str = "
from aiohttp import web
pve.jobs, answer_was = {'others': {'id': 'others', 'vmid': '120'}}, pve._answer
async def keeps(request, *rest):
    said = await answer_was(request, *rest)
    if request.method == 'DELETE' and request.path.split('/')[-2] in ('lxc', 'qemu') and said.status == 200:
        gone = request.path.split('/')[-1]
        for name, job in list(pve.jobs.items()):
            job['vmid'] = ','.join(vmid for vmid in job['vmid'].split(',') if vmid != gone)
            if not job['vmid']: del pve.jobs[name]
    if '/cluster/backup' not in request.path or said.status != 200: return said
    asked, name = dict(await request.post()), request.path.split('/cluster/backup')[1].strip('/')
    if request.method == 'GET': return web.json_response({'data': list(pve.jobs.values())})
    if request.method == 'POST': pve.jobs[asked['id']] = asked
    elif name not in pve.jobs: return web.json_response({'data': None, 'message': \"No such job '%s'\" % name}, status=500)
    elif request.method == 'PUT': pve.jobs[name].update(asked)
    else: del pve.jobs[name]
    return said
pve._answer = keeps
";

/// It forgets the names of guests whose nodes are offline, which it has from the figures that a node tells.
pub(crate) const FORGETS: &str = "
import json
from aiohttp import web
answer_was = pve._answer
async def forgets(request, *rest):
    said = await answer_was(request, *rest)
    if not request.path.endswith('/cluster/resources') or said.status != 200: return said
    told = json.loads(said.body)
    for item in told['data']:
        if item.get('status') == 'unknown': item.pop('name', None)
    return web.json_response(told)
pve._answer = forgets
";

/// It moves a virtual machine.
pub(crate) const MOVES: &str = "
answer_was = pve._answer
async def moves(request, *rest):
    said = await answer_was(request, *rest)
    if request.method == 'POST' and request.path.endswith('/migrate'):
        pve.vm(int(request.path.split('/')[-2])).node = (await request.post())['target']
    return said
pve._answer = moves
";

/// It grows a virtual machine's disk.
pub(crate) const GROWS: &str = "
import re
answer_was = pve._answer
async def grows(request, *rest):
    said = await answer_was(request, *rest)
    if request.method == 'PUT' and request.path.endswith('/resize') and '/qemu/' in request.path and said.status == 200:
        asked, config = await request.post(), pve.vm(int(request.path.split('/')[-2])).config
        config[asked['disk']] = re.sub('size=[^,]*', 'size=' + asked['size'], config[asked['disk']])
    return said
pve._answer = grows
";

/// It tells whether a guest's storages keep snapshots.
pub(crate) const SNAPSHOTS_BY_STORAGE: &str = "
from aiohttp import web
answer_was = pve._answer
async def tells(request, *rest):
    said = await answer_was(request, *rest)
    if not request.path.endswith('/feature') or said.status != 200: return said
    config = pve.guest(int(request.path.split('/')[-2])).config
    drives = [str(drive) for slot, drive in config.items() if slot == 'rootfs' or slot.startswith(('scsi', 'virtio'))]
    kinds = [pve.storages.get(drive.split(':')[0], {}).get('type', 'zfspool') for drive in drives]
    return web.json_response({'data': {'hasFeature': int(all(kind in ('lvmthin', 'zfspool') for kind in kinds))}})
pve._answer = tells
";

/// It gets images from addresses, whose checksum is the address', and imports them.
pub(crate) const GETS_IMAGES: &str = "
import hashlib
from aiohttp import web
from fakepve import TaskError
answer_was = pve._answer
pve.storages['local']['content'] = 'iso,vztmpl,backup,import'
async def images(request, *rest):
    parts = request.path.split('/')
    if request.method == 'POST' and parts[-1] == 'download-url':
        asked, (node, storage) = await request.post(), (parts[4], parts[6])
        async def get():
            got = hashlib.sha256(asked['url'].encode()).hexdigest()
            if got != asked['checksum']:
                raise TaskError(\"checksum mismatch: got '%s' != expect '%s'\" % (got, asked['checksum']))
            pve.store_file(storage, asked['filename'], 1000, content='import')
        return web.json_response({'data': await pve.task(node, 'download', asked['filename'], 'kubewright@pve', get)})
    said = await answer_was(request, *rest)
    if request.method == 'POST' and parts[-1] == 'config':
        for vm in pve.vms:
            for slot, drive in list(vm.config.items()):
                if str(drive).endswith(':cloudinit'):
                    vm.config[slot] = '%s:vm-%d-cloudinit,media=cdrom' % (drive.split(':')[0], vm.vmid)
                if 'import-from=' in str(drive):
                    storage, image = drive.split(':')[0], drive.split('import-from=')[1].split(',')[0]
                    assert image.split(':')[1] in pve.storages[image.split(':')[0]]['volumes'], drive
                    vm.config[slot] = '%s,size=3G' % pve._qm_alloc(storage, vm.vmid, None, 3 * 1024 ** 3)[0]
    return said
pve._answer = images
";
