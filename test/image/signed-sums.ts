// A vendor's signed file of checksums, made once with GnuPG (ed25519, a key that never ends), so that the test needs gpgv alone.
export const text = `${'ab'.repeat(32)}  a.img\n`;
export const fingerprint = 'ECC526F9D9CE4957B3650CE33DCA1255D6AC4C8E';
export const publicKey = `-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEZZIAgBYJKwYBBAHaRw8BAQdAmdVJDv70zIBU4MnUjycy/n98TiQsBBVFsiMC
85L6McW0G1ZlbmRvciA8dmVuZG9yQGV4YW1wbGUub3JnPoiQBBMWCAA4FiEE7MUm
+dnOSVezZQzjPcoSVdasTI4FAmWSAIACGwMFCwkIBwIGFQoJCAsCBBYCAwECHgEC
F4AACgkQPcoSVdasTI60PAEAt+50IWrsbtorh5a5NtZ2D8teQlitcAX9zG8N+IL0
PXMBAM56b/GFWz2YHfeRYGGAz8QlHWaoN4mqbo3t+rM173UP
=lXYY
-----END PGP PUBLIC KEY BLOCK-----
`;
export const detached = Buffer.from(
  'iHUEABYIAB0WIQTsxSb52c5JV7NlDOM9yhJV1qxMjgUCZZIAgAAKCRA9yhJV1qxMjg9GAP9fusx0GE5xYmfS+WQ69pB1wovmD8U7fUQYsdaCm91NKgD/cPCrgEBlGWtm99V10M+rHR7KibzhpXyLpZ9kUZb6sgg=',
  'base64',
);
export const clearSigned = `-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

abababababababababababababababababababababababababababababababab  a.img
-----BEGIN PGP SIGNATURE-----

iHUEARYIAB0WIQTsxSb52c5JV7NlDOM9yhJV1qxMjgUCZZIAgAAKCRA9yhJV1qxM
jp8GAP9M0p0CrYlOGq6tKUmo6IfiF0OJZI5XOa1fnTdbtmGyagD/RsKMVGkg5q46
cemfU+7/XCCSG5+1MvssgW5ZT8NR6w0=
=q5xi
-----END PGP SIGNATURE-----
`;
