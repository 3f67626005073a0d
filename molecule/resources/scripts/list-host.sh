#!/bin/sh
# Lists what a run could change on a host: files with owner, mode, size and time, packages, units, kernel settings.
# Left out: what changes by itself on an idle machine, what Ansible needs to run at all, and apt's cache of its own
# lists, which any look at them renews.
set -eu

find / -xdev \
    \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp -o -path /var/log \
    -o -name .ansible -o -path '/var/cache/apt/*.bin' -o -path /var/lib/systemd -o -name __pycache__ \) -prune \
    -o -type d -printf 'dir %u:%g %m %p\n' \
    -o -printf 'file %u:%g %m %s %TY-%Tm-%TdT%TH:%TM:%TS %p\n' | sort -k 5
dpkg-query --show --showformat 'package ${Package} ${Version} ${db:Status-Abbrev}\n'
systemctl list-unit-files --no-legend --no-pager | sed 's/^/unit /'
echo "vm.max_map_count $(cat /proc/sys/vm/max_map_count)"
