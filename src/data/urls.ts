import type { ArchiveCheck } from '../platform/platform.ts'

/** Source: fastai data/external.py, URLs.S3_IMAGE. */
const base = 'https://s3.amazonaws.com/fast-ai-imageclas'

/**
 * Data sets that `untarData` knows. 320 and 160 are the same images with their shorter side brought to that many pixels.
 *
 * Source: fastai data/external.py, URLs.
 */
export const urls = {
  /** Ten easily told classes of ImageNet: 9,469 images in `train`, 3,925 in `val`; 1.5 GB. */
  imagenette: `${base}/imagenette2.tgz`,
  /** 342 MB */
  imagenette320: `${base}/imagenette2-320.tgz`,
  /** 99 MB */
  imagenette160: `${base}/imagenette2-160.tgz`,
  /** Ten breeds of dogs, harder to tell: 9,025 images in `train`, 3,929 in `val`; 1.3 GB. */
  imagewoof: `${base}/imagewoof2.tgz`,
  /** 328 MB */
  imagewoof320: `${base}/imagewoof2-320.tgz`,
  /** 93 MB */
  imagewoof160: `${base}/imagewoof2-160.tgz`,
} as const

/**
 * Size, md5 of the first MiB and SHA-256 of the archives above.
 *
 * Source: fastai data/download_checks.py; of SHA-256 FastAI.jl and DLDatasets.jl, which know none of the whole imagewoof.
 */
export const archiveChecks: ReadonlyMap<string, ArchiveCheck> = new Map<string, ArchiveCheck>([
  [
    urls.imagenette,
    {
      sizeBytes: 1_557_161_267,
      md5: '2c774ecb40005b35d7937d50f5d42336',
      sha256: '6cbfac238434d89fe99e651496f0812ebc7a10fa62bd42d6874042bf01de4efd',
    },
  ],
  [
    urls.imagenette320,
    {
      sizeBytes: 341_663_724,
      md5: '1f1f74f133caff120e575856659b87a2',
      sha256: '569b4497c98db6dd29f335d1f109cf315fe127053cedf69010d047f0188e158c',
    },
  ],
  [
    urls.imagenette160,
    {
      sizeBytes: 99_003_388,
      md5: 'c475f8f7617a200ba35b9facc48443c3',
      sha256: '64d0c4859f35a461889e0147755a999a48b49bf38a7e0f9bd27003f10db02fe5',
    },
  ],
  [urls.imagewoof, { sizeBytes: 1_343_715_595, md5: '2cc1c1e36e20cb6fd24ffb978edcb487' }],
  [
    urls.imagewoof320,
    {
      sizeBytes: 328_387_740,
      md5: '7a1fd92672a559a85de76e4810a20c21',
      sha256: '4e4905ed7643120daaf9bf3b2ef7f3a7e8396d9bdaf254a38c6f01f618b4973d',
    },
  ],
  [
    urls.imagewoof160,
    {
      sizeBytes: 92_612_825,
      md5: '3559b194123981a540b87132dbda412f',
      sha256: '663c22f69c2802d85e2a67103c017e047096702ffddf9149a14011b7002539bf',
    },
  ],
])
