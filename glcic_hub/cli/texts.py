"""The help texts."""

import textwrap

from glcic_hub.formats import JPEG_QUALITY, READABLE, WRITABLE

*_others, _last = WRITABLE
RESULT_SUFFIXES = f"{', '.join(_others)} or {_last}"

_WHAT_FORMATS_HOLD = {
    "PNG": "lossless; everything but CMYK and floats",
    "WEBP": "lossless unless --quality is given; no 16 bits, no CMYK, no floats",
    "JPEG": f"quality {JPEG_QUALITY} (or --quality), 4:4:4; re-encodes the known pixels; no transparency, no 16 bits",
    "TIFF": "lossless, packed with deflate; everything",
}


def _formats() -> str:
    """A line for each format that a result can have."""
    suffixes = {name: ", ".join(s for s, other in WRITABLE.items() if other == name) for name in WRITABLE.values()}
    return "\n".join(f"  {own:13} {_WHAT_FORMATS_HOLD[name]}" for name, own in suffixes.items())


EXIT_CODES = """\
exit codes:
  0    done
  1    the work failed: model not loadable, disk full, folder not writable, ...
  2    wrong use: bad arguments, image missing or unreadable, OUT exists, sizes that do not match, ...
  130  interrupted (Ctrl-C)
The paths of the results go to stdout, everything else to stderr. A run that fails leaves no file behind and does not
touch existing ones.
"""

DESCRIPTION = """\
  glcic inpaint photo.jpg mask.png -o out.jpg             fills what is white in mask.png
  glcic inpaint photo.jpg --box 120,80,60,40 -o out.jpg   fills a rectangle: left, top, width, height
  glcic batch photos --masks masks -o completed           fills a folder of photos

Completes images (inpainting) with the GLCIC network of Iizuka et al. 2017.
"""

EPILOG = f"""\
more:
  glcic ui photo.jpg                           a page in the browser, on which you paint over what should go
  glcic demo                                   completes a photo that comes with the package
  glcic inpaint --help                         masks, formats and more examples
  glcic batch --help                           whole folders and tar files, in several processes
  glcic convert --help                         checkpoints of other implementations, and how exact the result is
  glcic export onnx --help                     files for ONNX Runtime and browsers

{EXIT_CODES}"""

UI_DESCRIPTION = """\
  glcic ui photo.jpg
  glcic ui

Opens a page in the browser on which you paint over what should go. The work is done on this machine, no other machine
can open the page, and the photos go nowhere.
"""

UI_EPILOG = f"""\
the results:
  Save writes NAME-completed into the folder of PHOTO, or into the current one where PHOTO is not given, and overwrites
  no file. PNG and lossless WebP keep every pixel outside the paint, bit for bit; JPEG files are encoded again, with
  quality {JPEG_QUALITY}.

the server:
  The address of the page goes to stdout. Ctrl-C ends the server, and what it has kept is deleted. Photos that were not
  used for an hour are deleted, too; a page that is still open then sends its photo again.

examples:
  glcic ui photo.jpg
  glcic ui photo.jpg --model ./my-model
  glcic ui --no-browser --port 9000                 for a browser at the other end of ssh -L 9000:127.0.0.1:9000

{EXIT_CODES}"""

INPAINT_DESCRIPTION = """\
  glcic inpaint photo.jpg mask.png -o completed.jpg
  glcic inpaint photo.jpg --box 120,80,60,40 -o completed.jpg
  glcic inpaint cutout.png -o completed.png                      the transparent part is filled

Fills the hole in IMAGE. OUT has the size of IMAGE and, outside the hole, the same pixels, bit for bit (.png, .tif
and lossless .webp).
"""

INPAINT_EPILOG = f"""\
the mask:
  MASK is an image of the same size as IMAGE: white (luminance 128 of 255 or more) = fill, black = keep; --invert
  reverses this. Where MASK is transparent, it counts as black. Both images are turned upright as their EXIF
  orientation says. Also understood: values of 0 and 1; paint of one colour, however dark or thin, on black or on a
  transparent layer; a photo, or a plain black image, with the hole cut out. A doubtful MASK is reported: one that looks
  like a photo, or that fills most of IMAGE. A mask of greys without any white is refused.
  Without MASK the transparency of IMAGE is the mask: every pixel that is not fully opaque is filled, and OUT is
  opaque. With MASK, transparency in IMAGE stays as it is.
  --box and --polygon draw the mask; each may be given several times. They count pixels from the top left corner of
  IMAGE as it is displayed: LEFT,TOP,WIDTH,HEIGHT for a box, X,Y for each point of a polygon.
  A black mask is not an error: the image is written as it is, with a message.
  A mask that is too tight leaves a rim of the object; --grow N widens it by N pixels.

files:
  If OUT is a folder, the result is written into it under the name of IMAGE. IMAGE or MASK can be -, for standard input.
  If OUT is -, a PNG goes to standard output.

formats, by the suffix of OUT:
{_formats()}
  Metadata of IMAGE are kept if the format of OUT has a place for them: EXIF, XMP and ICC data; dpi (not in WebP); IPTC
  data (.png, .jpg, .tif); comments (.png, .jpg); texts, gAMA, cHRM and sRGB of PNG files (.png).
  Dropped are: thumbnails, which still show what was filled; XMP and IPTC data of more than 64 kB (.jpg); compressed
  texts of PNG files of more than 1 MB; TIFF tags that EXIF does not have; everything but dpi and comments of formats
  other than JPEG, PNG, TIFF, WebP, AVIF and HEIC.
  If a file has several frames, pages or layers, only the first one is completed, with a message.
  HEIC images are read after pip install ".[heif]".
  RGB and RGBA images of 16 bits per channel (.png, .tif) keep them in .png and .tif. Other colours of 16 bits are read
  as 8: grey with alpha, one transparent colour, and TIFF files with packed planes, premultiplied or unnamed channels.

examples:
  glcic inpaint photo.jpg --box 120,80,60,40 --box 300,90,20,20 -o completed
  glcic inpaint photo.jpg --polygon 120,80 180,85 150,140 -o completed.png
  glcic inpaint - mask.png -o -                                  standard input to standard output
  glcic inpaint photo.jpg mask.png -o photo.jpg --force          replaces the input
  glcic inpaint photo.png mask.png -o small.webp --quality 80    lossy
  glcic inpaint photo.png mask.png -o out.png --model ./my-model --blend none

{EXIT_CODES}"""

DEMO_DESCRIPTION = """\
Completes a real photo that comes with the package, and writes before.png, mask.png, after.png and the three side by
side, demo.png. Files of these names in FOLDER are overwritten.
"""

CONVERT_DESCRIPTION = """\
Turns a checkpoint of another GLCIC implementation into a model folder for --model, from_pretrained and the Hub. A
checkpoint that this package cannot reproduce exactly is refused with the reason. Code in checkpoints is never executed.
"""

CONVERT_EPILOG = f"""\
kinds, recognised from the content of SOURCE:
  torch7      the official .t7 files and others of their network: exact
  sequential  state dicts of the same network in PyTorch: exact. Names: 0.weight ... 48.bias; 0.0.weight ... 16.bias;
              conv1_1.conv.weight ... decoder2_3.conv.bias. --mean is required, because these files do not contain it
  mmagic      MMagic's .pth: it clamps its output where this network has a sigmoid; converted only with --approximate,
              and then each value is off by at most 0.0561 (14 of 255)
  otenim      GLCIC-PyTorch's .pth: recognised, but refused, because it normalises after the ReLU: a different network
  A .pth file may contain only tensors (a state dict, or a checkpoint with one); pickled modules are not loaded.

licence:
  The official weights, in every format, are under CC BY-NC-SA 4.0, and so are models converted from them. README.md
  in FOLDER names the source of the weights, their accuracy, and the licence as far as it is known.

examples:
  glcic convert completionnet_places2.t7 -o places2
  glcic inpaint photo.jpg mask.png -o out.png --model ./places2
  glcic convert completionnet_places2.pth -o places2 --mean 0.4560 0.4472 0.4155
  glcic convert faces.t7 -o faces --sample-size 160 --max-hole-size 96
  glcic convert gl_places.pth -o mmagic --approximate

{EXIT_CODES}"""

EXPORT_ONNX_DESCRIPTION = """\
Writes a model as an ONNX file, which runs without PyTorch: in ONNX Runtime, in browsers (integrations/web), on phones.
MODEL is the name of an embedded model, a folder or a Hub repository id (default: the embedded default model).
"""

EXPORT_ONNX_EPILOG = f"""\
kinds:
  pipeline  photo, uint8 (1, H, W, 3), and mask, uint8 (1, H, W), 128 or more = fill -> completed, uint8 (1, H, W, 3);
            any size; known pixels stay as they are, bit for bit
  network   image, float32 (B, 3, H, W), RGB in [0, 1], and mask, float32 (B, 1, H, W), 1 = fill -> completed, float32
            (B, 3, H, W), RGB in [0, 1], to be used under the mask only; any size

precisions:
  fp32  exact; 24 MB at the paper's size of the network
  fp16  12 MB; float16 arithmetic where the runtime has it; the results hardly differ
  int8  6 MB; 8-bit weights, float32 arithmetic; small differences

examples:
  glcic export onnx -o glcic.onnx
  glcic export onnx --precision int8 -o build/web/model.onnx
  glcic export onnx ./my-model --kind network --precision fp16 -o network.onnx

{EXIT_CODES}"""

BATCH_DESCRIPTION = """\
  glcic batch photos --masks masks -o completed
  glcic batch *.jpg --masks logo.png -o completed                one mask for all
  glcic batch cutouts -o filled                                  the transparent parts are filled

Completes images: single files, folders (with their sub-folders) and uncompressed tar files, in several processes.
The results have the names of the images, with the suffix of their format. Images that already have a result in OUT
are skipped, so after an interruption of any kind the same command continues.
"""

BATCH_EPILOG = f"""\
the images:
{textwrap.fill(f"Files that end in {', '.join(READABLE)}.", 116, initial_indent="  ", subsequent_indent="  ")}
  Linked folders are followed; hidden files and folders, whose names begin with a dot, are skipped.

the masks:
  Each image has a mask of the same name in MASKS, sub-folders included; suffixes may differ. If MASKS is one image, it
  is the mask for all. With --invert, white = keep. Without --masks, the transparent part of each image is filled.
  `glcic inpaint --help` describes masks and formats. Doubtful masks are listed at the end.
  --mask-name is for masks with other names: {{stem}} stands for the name of the image without its suffix; a pattern
  without a suffix means any. Without --masks, such masks are looked for beside the images.

what goes wrong:
  If an image cannot be completed (it is damaged, or its mask is missing, has another size or covers everything), the
  others continue. It is listed at the end and, with the reason, in OUT/errors.jsonl (one line of JSON each: name,
  error), and tried again when the command is run again. Two images with the same result file, or an OUT inside a
  folder that is read, are refused before any work starts.

what it costs:
  Most of the time goes into patches of the photo (--texture): about half a second on one core for a hole of 100
  pixels, and more for larger holes. With --texture none, fills are soft, but several times as fast.

several machines or GPUs:
  Processes share the GPUs of a machine. If RANK and WORLD_SIZE are set, as by torchrun and accelerate launch, each
  process takes its share of the images (--processes is then 1 by default) and writes its own errors-RANK.jsonl. Its
  exit code is 0 even if images failed, because launchers stop all processes when one of them fails. The results do
  not depend on the number of processes.

examples:
  glcic batch photos --masks logo.png -o completed --format jpg --quality 90
  glcic batch a.jpg b.jpg --masks a.png b.png -o completed
  glcic batch photos --mask-name "{{stem}}_mask.png" -o completed
  glcic batch shards/*.tar --masks masks/*.tar -o completed
  torchrun --no-python --nproc-per-node 4 glcic batch photos --masks masks -o completed

exit codes:
  0    every image has its result
  1    some were not completed, or the work stopped: model not loadable, disk full, OUT not writable, ...
  2    wrong use: bad arguments, nothing to complete, two images with one result, ...
  130  interrupted (Ctrl-C)
OUT goes to stdout, everything else to stderr. A result is written completely or not at all.
"""
