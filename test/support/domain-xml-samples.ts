/** Domain XML as libvirt prints it for a VM that oVirt's engine created. */
export const ENGINE_VM_ID = '7f2b5c1e-5d3c-4a0e-8d6b-0a1b2c3d4e5f';

export const engineVmXml = `<domain type='kvm' id='7' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>web &amp; db 007</name>
  <uuid>${ENGINE_VM_ID}</uuid>
  <metadata xmlns:ns0="http://ovirt.org/vm/tune/1.0" xmlns:ovirt-vm="http://ovirt.org/vm/1.0">
    <ns0:qos><ns0:vcpuLimit>50</ns0:vcpuLimit></ns0:qos>
    <ovirt-vm:vm xmlns:ovirt-vm="http://ovirt.org/vm/1.0">
    <ovirt-vm:ballooningEnabled type="bool">true</ovirt-vm:ballooningEnabled>
    <ovirt-vm:balloonTarget type="int">3145728</ovirt-vm:balloonTarget>
    <ovirt-vm:clusterVersion>4.7</ovirt-vm:clusterVersion>
    <ovirt-vm:destroy_on_reboot type="bool">False</ovirt-vm:destroy_on_reboot>
    <ovirt-vm:launchPaused>false</ovirt-vm:launchPaused>
    <ovirt-vm:minGuaranteedMemoryMb type="int">1024</ovirt-vm:minGuaranteedMemoryMb>
    <ovirt-vm:resumeBehavior>auto_resume</ovirt-vm:resumeBehavior>
    <ovirt-vm:startTime type="float">1700000000.25</ovirt-vm:startTime>
    <ovirt-vm:device mac_address="56:6f:1a:00:00:01"><ovirt-vm:custom/></ovirt-vm:device>
    <ovirt-vm:device devtype="disk" name="sda">
      <ovirt-vm:domainID>7a9a1478-6a7c-465b-b0e5-598205be7faf</ovirt-vm:domainID>
      <ovirt-vm:imageID>11110000-0000-4000-8000-000000000000</ovirt-vm:imageID>
    </ovirt-vm:device>
    <ovirt-vm:device devtype="disk" name="sdc"><ovirt-vm:GUID>36001405</ovirt-vm:GUID></ovirt-vm:device>
    <devices>not these</devices>
</ovirt-vm:vm>
  </metadata>
  <memory unit='KiB'>4194304</memory>
  <currentMemory unit='KiB'>3145728</currentMemory>
  <vcpu placement='static' current='2'>16</vcpu>
  <features>
    <acpi/>
  </features>
  <devices>
    <emulator>/usr/libexec/qemu-kvm</emulator>
    <disk type='file' device='cdrom'>
      <driver name='qemu' error_policy='report'/>
      <target dev='sdz' bus='sata'/>
      <readonly/>
      <alias name='ua-cd'/>
    </disk>
    <disk type='file' device='disk' snapshot='no'>
      <source file='/rhev/data-center/mnt/nas:_data/7a9a1478/images/meta-wins/22220000' index='1'/>
      <target dev='sda' bus='scsi'/>
      <iotune>
        <total_bytes_sec>1048576</total_bytes_sec>
        <read_iops_sec>100</read_iops_sec>
        <group_name>g1</group_name>
      </iotune>
      <alias name='ua-disk-a'/>
    </disk>
    <disk type='block' device='disk'>
      <source dev='/rhev/data-center/mnt/blockSD/7a9a1478/images/33330000-0000-4000-8000-000000000000/4444'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='block' device='lun'>
      <source dev='/dev/mapper/36001405'/>
      <target dev='sdc' bus='scsi'/>
    </disk>
    <disk type='network' device='disk'>
      <source protocol='rbd' name='pool/image'/>
      <target dev='sdd' bus='scsi'/>
    </disk>
    <interface type='bridge'>
      <mac address='56:6f:1a:00:00:01'/>
      <source bridge='ovirtmgmt'/>
      <target dev='vnet3'/>
      <model type='virtio'/>
      <alias name='ua-nic'/>
    </interface>
    <interface type='hostdev' managed='no'>
      <mac address='56:6f:1a:00:00:02'/>
      <alias name='ua-sriov'/>
    </interface>
    <channel type='unix'>
      <target type='virtio' name='org.qemu.guest_agent.0' state='connected'/>
    </channel>
    <channel type='spicevmc'>
      <target type='virtio' name='com.redhat.spice.0' state='disconnected'/>
    </channel>
    <channel type='pty'>
      <target type='guestfwd' address='10.0.2.1' port='4600'/>
    </channel>
    <graphics type='vnc' port='5901' autoport='yes' listen='192.0.2.1'>
      <listen type='network' address='192.0.2.1' network='vdsm-ovirtmgmt'/>
    </graphics>
    <graphics type='spice' tlsPort='5903' autoport='yes'>
      <listen type='none'/>
    </graphics>
    <memballoon model='virtio'>
      <stats period='5'/>
    </memballoon>
  </devices>
</domain>
`;
