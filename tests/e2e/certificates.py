"""Certificates of the end-to-end tests, made with openssl: authorities, and what they sign."""
import os
import subprocess

KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']


class Folder:
    """NAME.pem and NAME.key for every name."""

    def __init__(self, path):
        self.path = path

    def file(self, name):
        return os.path.join(self.path, name)

    def openssl(self, *arguments):
        done = subprocess.run(['openssl', *arguments], cwd=self.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout

    def authority(self, name):
        self.openssl('req', '-x509', *KEY, '-days', '2', '-subj', f'/CN={name}', '-keyout', f'{name}.key', '-out',
                     f'{name}.pem')

    def certificate(self, name, signer, names='IP:127.0.0.1', days=2, common_name=None, to=None):
        """Signed by the authority `signer`, valid for `names`. With `to`, replaces the files of that name at the end,
        as whoever renews certificates does."""
        with open(self.file(f'{name}.ext'), 'w', encoding='ascii') as extensions:
            extensions.write(f'subjectAltName={names}\n')
        self.openssl('req', *KEY, '-subj', f'/CN={common_name or name}', '-keyout', f'{name}.key', '-out', f'{name}.csr')
        self.openssl('x509', '-req', '-in', f'{name}.csr', '-CA', f'{signer}.pem', '-CAkey', f'{signer}.key',
                     '-CAcreateserial', '-days', str(days), '-extfile', f'{name}.ext', '-out', f'{name}.pem')
        if to:
            os.replace(self.file(f'{name}.key'), self.file(f'{to}.key'))
            os.replace(self.file(f'{name}.pem'), self.file(f'{to}.pem'))
